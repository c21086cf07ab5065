"""The errors of datasets and of models that run on them."""


class Unusable(Exception):
    """A dataset or a model cannot be used; the message names the file, what was found and what was expected."""
