"""The errors of datasets and of models that run on them."""


class Unusable(Exception):
    """A dataset or a model cannot be used; the message names the file, what was found and what was expected."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
