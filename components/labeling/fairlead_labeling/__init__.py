"""Labeling: uncertain examples to annotators, and what they agree on into the next version of a dataset."""

__version__ = "0.1.0"
