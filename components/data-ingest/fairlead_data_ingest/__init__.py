"""Data ingest: fetches, checks, splits and augments data by a recipe, and publishes it as a dataset."""

__version__ = "0.1.0"
