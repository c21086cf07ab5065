"""Data validation with a Great Expectations suite; the result is an artifact bound to the dataset's digest."""

__version__ = "0.1.0"
