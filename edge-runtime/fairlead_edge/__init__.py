"""The edge runtime: a workshop that makes small verified bundles, and a runtime that serves them on devices."""

__version__ = "0.1.0"
