"""The errors of labeling; files and data that cannot be used are fairlead_datasets' `Unusable`."""


class ServerUnavailable(Exception):
    """A model's server or Label Studio did not answer, or answered with an error of its own; retrying may help."""
