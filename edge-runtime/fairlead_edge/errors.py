"""The errors of building and serving bundles."""


class InvalidBundle(Exception):
    """The bundle does not match its manifest, or is not a bundle; the message names the file."""


class BundleRejected(Exception):
    """The target's model differs too much from its source; the message has the figures. Nothing is published."""


class InputUnusable(Exception):
    """A model or dataset cannot be used; the message names the file, what was found and what was expected."""
