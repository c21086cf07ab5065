"""Errors that a command reports without a traceback."""


class SetupError(Exception):
    """Something that the setup needs is missing, invalid or failed; the message says what to do."""


class ClusterError(Exception):
    """A part of the local cluster did not start; holds the last lines of its log."""
