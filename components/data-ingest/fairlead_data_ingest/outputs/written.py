"""What was written of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Written:
    """Facts for the manifest and the summary."""

    facts: Mapping[str, Any]
    """As `fairlead dataset publish` names them: format, rows, columns, classes."""
    splits: Mapping[str, int]
    """The number of examples of each split, copies included."""
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The number of examples of each class, by split."""
