"""Clusters for laptops, demos and tests: processes on this machine, or kind; and the worked example."""

__version__ = "0.1.0"
