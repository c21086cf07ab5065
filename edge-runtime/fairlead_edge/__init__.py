"""The edge runtime: the workshop builds small verified bundles, the runtime serves them on devices."""

__version__ = "0.1.0"
