"""The parity gate: compare a target's model with its source, on examples used for neither training nor calibration.

`measuring` measures, `gate` judges the figures by a budget, `tables` prints them.
"""

from .gate import check_parity, find_problems
from .measuring import measure_parity
from .tables import build_comparison, build_table

__all__ = ["build_comparison", "build_table", "check_parity", "find_problems", "measure_parity"]
