"""What the workshop and the runtime refuse."""


class InvalidBundle(Exception):
    """The bundle is not what its manifest says, or no bundle; the message names the file."""


class QuantizationRejected(Exception):
    """The small model is too much worse than its source; the message has the figures. Nothing is published."""


class InputUnusable(Exception):
    """A model or dataset cannot be used; the message names the file, what is there and what was expected."""


class RequestRejected(Exception):
    """A request is wrong: names the field, the value and what was expected."""
