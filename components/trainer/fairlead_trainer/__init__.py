"""The API for training scripts: report progress to the job's status, and save a model for conversion."""

from .export import save_model
from .progress import Progress

__all__ = ["Progress", "save_model"]
