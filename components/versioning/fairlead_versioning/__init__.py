"""Versioning: what DVC tracks as artifacts, and artifacts as what DVC tracks."""

__version__ = "0.1.0"
