"""Fairlead: a Kubernetes operator that takes a deep-learning model from raw data to production and edge devices."""

__version__ = "0.1.0"
