"""The drift of a model's inputs from its training data, by the bins of reference.json.

Loaded only for a bundle that has a reference: its contract needs pydantic.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fairlead_contracts.binning import Binning
from fairlead_contracts.errors import ContractError
from fairlead_contracts.psi import measure_psi
from fairlead_contracts.reference import FILE, Reference
from fairlead_contracts.tensors import Array

from .errors import InvalidBundle

_LARGEST_ROWS = 4096
"""The most rows of a request that are counted: all of them would cost more than the model."""


def parse_drift(content: bytes) -> "BinnedDrift":
    """Parse reference.json; raise InvalidBundle."""
    try:
        return BinnedDrift(Reference.parse_json(content, FILE))
    except ContractError as error:
        raise InvalidBundle(str(error)) from None


class BinnedDrift:
    """The counts of each input's columns."""

    def __init__(self, reference: Reference) -> None:
        self._binnings = {tensor.name: Binning(tensor) for tensor in reference.inputs}
        self._clear()

    def add(self, inputs: Mapping[str, Array]) -> None:
        """Count the rows of a request."""
        for name, binning in self._binnings.items():
            rows = inputs.get(name)
            picked = binning.pick(rows[:_LARGEST_ROWS]) if rows is not None and rows.ndim else None
            if picked is not None:
                self._counts[name] += binning.count(picked)

    def take(self) -> dict[str, Any]:
        """Return for each input the mean of its columns' indexes (PSI), and the largest with its column."""
        found = {name: self._measure(name) for name, counts in self._counts.items() if counts.any()}
        self._clear()
        return found

    def _clear(self) -> None:
        self._counts = {name: np.zeros(binning.slots, np.int64) for name, binning in self._binnings.items()}

    def _measure(self, name: str) -> dict[str, Any]:
        binning, counts = self._binnings[name], self._counts[name].tolist()
        found, start = [], 0
        for column, size in zip(binning.tensor.columns, binning.sizes, strict=True):
            found.append((measure_psi(column.slots, counts[start : start + size]), column.index))
            start += size
        psi, index = max(found)
        return {"psi": round(psi, 4), "column": index, "mean": round(sum(each for each, _ in found) / len(found), 4)}
