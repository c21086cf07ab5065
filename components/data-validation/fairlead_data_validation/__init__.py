"""Data validation: a dataset against a suite of Great Expectations, the result an artifact bound to its digest."""

__version__ = "0.1.0"
