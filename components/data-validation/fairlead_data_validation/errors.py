"""The errors that end a validation without a result."""


class ValidationImpossible(Exception):
    """The dataset or the suite cannot be read; the message names the file, what was found and what was expected."""
