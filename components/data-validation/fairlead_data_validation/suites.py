"""Suites in Great Expectations' own JSON format, with expectations of drift between the others."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead_artifacts import fetch
from fairlead_contracts.errors import ContractError
from fairlead_contracts.validation import digest_expectations

from .drift import TYPE, Drift
from .errors import ValidationImpossible

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

_FILE = "suite.json"
"""The suite in an artifact."""
_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")
# Disable usage statistics before the first import.
os.environ["GX_ANALYTICS_ENABLED"] = "false"


@dataclass(frozen=True)
class Suite:
    """A suite that can be run."""

    name: str
    digest: str
    """The digest of its expectations."""
    expectations: "ExpectationSuite | None"
    """Those of Great Expectations; None if it has none."""
    drifts: tuple[Drift, ...]
    columns: frozenset[str] | None
    """The columns that it looks at; None if it may look at all."""


@contextmanager
def fetched_suite(place: str) -> Iterator[Path]:
    """Return the file of a suite that is at a path, or in an artifact, as URI@DIGEST.

    Raise ValidationImpossible for an artifact without a digest, and ArtifactError.
    """
    if "://" not in place:
        yield Path(place)
        return
    uri, _, digest = place.rpartition("@")
    if not uri:
        raise ValidationImpossible(f"suite {place}: got no digest, expected URI@sha256:…")
    with tempfile.TemporaryDirectory() as folder:
        fetch(uri, Path(folder, "suite"), digest, kind="code")
        yield Path(folder, "suite", _FILE)


def load_suite(file: Path) -> Suite:
    """Read a suite; raise ValidationImpossible if the file is none."""
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise ValidationImpossible(f"suite {file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValidationImpossible(f"suite {file}: is not JSON: {error}") from None
    entries = document.get("expectations") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or not isinstance(document.get("name"), str):
        raise ValidationImpossible(f"suite {file}: expected an object with name and at least one of expectations")
    digest, columns = digest_expectations(entries), _find_columns(entries)  # before the suite changes the entries
    own, drifts = [], []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("type") == TYPE:
            drifts.append(_read_drift(entry, f"suite {file}: expectations[{index}]"))
        else:
            _check_expectation(entry, f"suite {file}: expectations[{index}]")
            own.append(entry)
    return Suite(document["name"], digest, _build_suite(document["name"], own), tuple(drifts), columns)


def _build_suite(name: str, entries: list[dict[str, Any]]) -> "ExpectationSuite | None":
    from great_expectations import ExpectationSuite  # lazy, because it takes seconds

    return ExpectationSuite(name=name, expectations=entries) if entries else None


def _check_expectation(entry: Any, at: str) -> None:
    """Raise ValidationImpossible for an expectation that the suite would only log, and ignore."""
    from great_expectations.exceptions.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        ExpectationConfiguration(**entry).to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise ValidationImpossible(f"{at}: {error}") from None


def _read_drift(entry: dict[str, Any], at: str) -> Drift:
    try:
        return Drift.parse(entry.get("kwargs"), "kwargs")
    except ContractError as error:
        raise ValidationImpossible(f"{at}: {error}") from None


def _find_columns(entries: list[Any]) -> frozenset[str] | None:
    """Return the columns that all expectations name; None if one of them may look at others."""
    found: set[str] = set()
    for entry in entries:
        kwargs = entry.get("kwargs") if isinstance(entry, dict) else None
        named = [kwargs[key] for key in _COLUMNS if key in kwargs] if isinstance(kwargs, dict) else []
        of_table = isinstance(entry, dict) and str(entry.get("type")).startswith("expect_table_column")
        counts_rows = isinstance(entry, dict) and str(entry.get("type")).startswith("expect_table_row_count")
        if of_table or (not named and not counts_rows) or not isinstance(kwargs, dict) or kwargs.get("row_condition"):
            return None
        for names in named:
            found |= {names} if isinstance(names, str) else set(map(str, names))
    return frozenset(found)
