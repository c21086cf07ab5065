"""What a dataset on disk consists of, before it is published or read."""

from .files import FORMATS, Format, Survey, list_files, survey

__all__ = ["FORMATS", "Format", "Survey", "list_files", "survey"]
