"""For training scripts that want more than Horovod alone: progress in the job's status, a model for conversion."""

from .export import save_model
from .progress import Progress

__all__ = ["Progress", "save_model"]
