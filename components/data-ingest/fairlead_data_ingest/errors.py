"""The error of a source that may answer later; data that cannot be used are fairlead_datasets' `Unusable`."""


class SourceUnavailable(Exception):
    """A server or database did not answer, or answered with an error of its own; retrying may help."""
