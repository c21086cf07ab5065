"""Kubeflow pipelines built from Fairlead's components and resources."""

__version__ = "0.1.0"
