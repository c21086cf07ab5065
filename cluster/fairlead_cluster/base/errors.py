"""The error that a command reports in place of a trace."""


class SetupError(Exception):
    """Something that the setup needs is missing, invalid or failed; the message says what would help."""
