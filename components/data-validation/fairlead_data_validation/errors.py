"""What ends a validation without a result."""


class ValidationImpossible(Exception):
    """The dataset or the suite cannot be read; the message names the file, what is there and what was expected."""
