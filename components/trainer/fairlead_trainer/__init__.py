"""The API for training scripts: report progress and parameters of the job, and save a model for conversion."""

from .export import save_model
from .parameters import report_parameters
from .progress import Progress

__all__ = ["Progress", "report_parameters", "save_model"]
