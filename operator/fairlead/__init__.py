"""Fairlead: a Kubernetes operator that leads a deep-learning model from raw data to production and to devices."""

__version__ = "0.1.0"
