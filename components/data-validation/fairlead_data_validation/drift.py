"""Expectations of drift: how far a column is from the same column of a reference dataset.

They stand in a suite between those of Great Expectations:

    {"type": "expect_column_distribution_to_match_reference",
     "kwargs": {"column": "age", "statistic": "psi", "limit": 0.2,
                "reference": {"uri": "s3://datasets/people/v1", "digest": "sha256:…"}}}

The reference's digest is part of the suite's, so a result says which reference it is about.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
from fairlead_contracts.base import DIGEST, URI, Contract
from fairlead_contracts.psi import measure_psi
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats  # type: ignore[import-untyped, unused-ignore]

from .tables import SPLIT

TYPE = "expect_column_distribution_to_match_reference"
LIMITS = {"psi": 0.2, "ks": 0.1, "ks_p": 0.001, "chi2_p": 0.001}
"""The limits where a suite names none. A PSI of 0.1 to 0.25 is commonly called a moderate shift."""
_BINS, _MAX_CATEGORIES = 10, 50
_MISSING, _OTHER = "(missing)", "(other)"
Values = NDArray[Any]


class Reference(Contract, extra="forbid"):
    """The dataset to compare with."""

    uri: str = Field(pattern=URI, max_length=1000)
    digest: str = Field(pattern=DIGEST)


class Drift(Contract, extra="forbid"):
    """The parameters of the expectation."""

    column: str = Field(min_length=1, max_length=1000)
    statistic: Literal["psi", "ks", "ks_p", "chi2_p"] = "psi"
    """psi: of ten bins with equally many rows and those outside of them, or of categories.

    ks: the largest distance of the two distributions.
    ks_p and chi2_p: the probability of such a distance, or of such counts, if both are from one distribution."""
    limit: float | None = Field(None, ge=0)
    """psi and ks: at most; ks_p and chi2_p: at least."""
    reference: Reference
    split: str | None = None
    """Compare only this split of both."""

    @property
    def bound(self) -> float:
        """Return the limit, or the usual one."""
        return LIMITS[self.statistic] if self.limit is None else self.limit

    @property
    def expected(self) -> str:
        """Return what is expected, in words."""
        words = "at least" if self.statistic.endswith("_p") else "at most"
        return f"{self.statistic} {words} {self.bound:g}" + (f", split: {self.split}" if self.split else "")


@dataclass(frozen=True)
class Comparison:
    """The result of one expectation."""

    success: bool
    value: float | None
    """None if it could not be measured."""
    observed: str


Load = Callable[[Reference], pd.DataFrame]


def compare(table: pd.DataFrame, expectation: Drift, load: Load) -> Comparison:
    """Compare a column with the reference; a column that one of them lacks is drift."""
    reference = load(expectation.reference)
    parts = []
    for name, frame in (("dataset", table), ("reference", reference)):
        if expectation.column not in frame.columns:
            return Comparison(False, None, f"the {name} has no such column")
        rows = frame if expectation.split is None else frame[frame[SPLIT] == expectation.split]
        if not len(rows):
            return Comparison(
                False, None, f"the {name} has no rows" + (f" in {expectation.split}" if expectation.split else "")
            )
        parts.append(rows[expectation.column])
    numbers = all(pd.api.types.is_numeric_dtype(part) and not pd.api.types.is_bool_dtype(part) for part in parts)
    if expectation.statistic in ("ks", "ks_p") and not numbers:
        return Comparison(False, None, "got no numbers; expected statistic psi or chi2_p for categories")
    value, noise = _measure(expectation.statistic, parts[1], parts[0], numbers)
    if noise > expectation.bound:
        few = f"too few rows: of {len(parts[0]):,} and {len(parts[1]):,} in the reference"
        words = f"psi is up to {noise:.2g} without drift; expected at most {expectation.bound:g}"
        return Comparison(False, None, f"{few}, {words}")
    if not np.isfinite(value):
        return Comparison(False, None, "got no values to compare")
    good = value >= expectation.bound if expectation.statistic.endswith("_p") else value <= expectation.bound
    return Comparison(
        bool(good),
        value,
        f"{expectation.statistic} {value:.4g} ({len(parts[0]):,} rows, {len(parts[1]):,} in the reference)",
    )


def _measure(statistic: str, reference: pd.Series, column: pd.Series, numbers: bool) -> tuple[float, float]:
    """Return the statistic, and what a PSI may be without drift."""
    if statistic in ("ks", "ks_p"):
        samples = [part.dropna().to_numpy(float) for part in (reference, column)]
        if not all(len(sample) for sample in samples):
            return math.nan, 0.0
        found = stats.ks_2samp(*samples, method="asymp")
        return float(found.statistic if statistic == "ks" else found.pvalue), 0.0
    before, now = _count_numbers(reference, column) if numbers else _count_categories(reference, column)
    if statistic == "psi":
        return measure_psi(before.tolist(), now.tolist()), _measure_noise(before, now)
    used = (before + now) > 0
    if used.sum() < 2:
        return 1.0, 0.0
    return float(stats.chi2_contingency(np.stack([before[used], now[used]]), correction=False).pvalue), 0.0


def _measure_noise(before: Values, now: Values) -> float:
    """Return the PSI that one of a hundred pairs of samples of one distribution exceeds.

    The PSI, divided by 1/n + 1/m, is about chi-squared with a degree of freedom less than bins (B. Yurdakul and
    J. Naranjo, Journal of Risk Model Validation 14, 2020).
    """
    bins = max(2, int(np.count_nonzero(before)))
    return float(stats.chi2.isf(0.01, bins - 1) * (1 / before.sum() + 1 / now.sum()))


def _count_numbers(reference: pd.Series, column: pd.Series) -> tuple[Values, Values]:
    """Return the counts in bins with equally many rows of the reference, below and above them, and of missing values.

    A value that fills a bin alone has one of its own, from which neither smaller nor larger values are counted.
    """
    edges = _find_edges(reference.to_numpy(float, na_value=np.nan))
    return _bin(reference, edges), _bin(column, edges)


def _find_edges(values: Values) -> Values:
    """Return the largest values of all bins but the last."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.array([-np.inf, np.finfo(float).max])
    edges, times = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)), return_counts=True)
    frequent = edges[times > 1]
    below = np.nextafter(np.append(frequent, edges[0]), -np.inf)
    return np.unique(np.concatenate([below, frequent, edges[1:]]))


def _bin(column: pd.Series, edges: Values) -> Values:
    values = column.to_numpy(float, na_value=np.nan)
    missing = np.isnan(values)
    # An edge belongs to the bin below it.
    counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    return np.append(counts, missing.sum())


def _count_categories(reference: pd.Series, column: pd.Series) -> tuple[Values, Values]:
    """Return the counts of the reference's most frequent values, of all others, and of those that are missing."""
    names = _name_values(reference).value_counts().index[:_MAX_CATEGORIES].tolist()
    return _count(reference, names), _count(column, names)


def _count(column: pd.Series, names: list[str]) -> Values:
    texts = _name_values(column)
    counts = texts.where(texts.isin(names), _OTHER).value_counts()
    return np.array([counts.get(name, 0) for name in (*names, _OTHER)] + [column.isna().sum()], np.int64)


def _name_values(column: pd.Series) -> pd.Series:
    """Return the values as texts; of bytes, too, that are no UTF-8."""
    return column.dropna().astype(object).map(str)
