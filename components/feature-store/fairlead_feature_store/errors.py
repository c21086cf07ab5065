"""The errors of the feature store."""


class Unusable(Exception):
    """Definitions, data or a store cannot be used; the message names what was found and what was expected."""


class StoreAhead(Exception):
    """The online store has what was known at a later time already, so that nothing was written."""


class StoreAway(Exception):
    """The online store does not answer, or has none of the tables; a retry may help."""
