"""The errors of versioning."""


class Unusable(Exception):
    """A file or repository of DVC cannot be used; the message names the file, what was found and what was expected."""


class RemoteUnavailable(Exception):
    """DVC could not reach a remote; trying again may help."""
