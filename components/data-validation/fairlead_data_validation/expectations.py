"""Run a suite on a table: Great Expectations in an ephemeral context, and the expectations of drift."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd  # type: ignore[import-untyped, unused-ignore]

from .drift import TYPE, Load, compare
from .suites import Suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


@dataclass(frozen=True)
class Outcome:
    """One expectation and its result."""

    column: str
    expectation: str
    expected: str
    success: bool
    observed: str

    def describe(self) -> str:
        """Return the outcome in one line: `column x_max: …`."""
        return f"column {self.column}: {self.expectation} ({self.expected}): {self.observed}"


@dataclass(frozen=True)
class Result:
    """The result of a suite on a table."""

    suite: str
    suite_digest: str
    """The digest of its expectations."""
    success: bool
    outcomes: tuple[Outcome, ...]
    document: dict[str, Any]
    """Great Expectations' own result, without the parts that differ between runs."""

    @property
    def failed(self) -> list[str]:
        """Return a line for each expectation that the data does not meet."""
        return [outcome.describe() for outcome in self.outcomes if not outcome.success]


def validate(table: pd.DataFrame, suite: Suite, load: Load) -> Result:
    """Run the suite on the table; `load` returns the table of a reference dataset."""
    outcomes, document = _run(table, suite.expectations) if suite.expectations else ((), {"results": []})
    compared = [(expectation, compare(table, expectation, load)) for expectation in suite.drifts]
    outcomes += tuple(
        Outcome(expectation.column, TYPE, expectation.expected, found.success, found.observed)
        for expectation, found in compared
    )
    if compared:
        document["drift"] = [{**expectation.to_json(), **asdict(found)} for expectation, found in compared]
    success = all(outcome.success for outcome in outcomes)
    return Result(suite.name, suite.digest, success, outcomes, {**document, "success": success})


def _run(table: pd.DataFrame, suite: "ExpectationSuite") -> tuple[tuple[Outcome, ...], dict[str, Any]]:
    """Run the expectations of Great Expectations."""
    import great_expectations as gx  # lazy, because it takes seconds
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("dataset").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    document = batch.validate(suite, result_format="SUMMARY").to_json_dict()  # type: ignore[no-untyped-call]
    return tuple(_read_outcome(entry) for entry in document["results"]), _strip(document)


def _read_outcome(entry: dict[str, Any]) -> Outcome:
    config, result = entry["expectation_config"], entry["result"]
    kwargs = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    column = kwargs.pop("column", None) or kwargs.pop("column_set", None) or kwargs.pop("column_list", None) or "*"
    return Outcome(
        column=column if isinstance(column, str) else ", ".join(map(str, column)),
        expectation=config["type"],
        expected=", ".join(f"{key}: {_shorten(value)}" for key, value in kwargs.items()) or "no parameters",
        success=bool(entry["success"]),
        observed=_observe(entry["exception_info"], result),
    )


def _observe(exception: dict[str, Any], result: dict[str, Any]) -> str:
    messages = _find_messages(exception)
    if messages:
        return f"could not be evaluated: {messages[0]}"
    if result.get("observed_value") is not None:
        return f"observed {_shorten(result['observed_value'])}"
    if "partial_missing_list" in result:
        parts = [f"{kind} {_shorten(values)}" for kind in ("missing", "unexpected")
                 if (values := result.get(f"partial_{kind}_list"))]  # fmt: skip
        return ", ".join(parts) or "exactly the expected values"
    if "unexpected_count" in result:
        some = [row["value"] for row in result.get("partial_unexpected_counts", [])[:3] if isinstance(row, dict)]
        shown = f" ({', '.join(map(_shorten, some))})" if some else ""
        return f"{result['unexpected_count']} of {result.get('element_count', '?')} values unexpected{shown}"
    return _shorten(result)


def _find_messages(exception: dict[str, Any]) -> list[str]:
    """Return the messages of an expectation's exceptions: its own, or one per metric that it needs."""
    entries = [exception, *(entry for entry in exception.values() if isinstance(entry, dict))]
    return [str(entry["exception_message"]) for entry in entries if entry.get("exception_message")]


def _strip(document: dict[str, Any]) -> dict[str, Any]:
    """Remove times, paths and ids, so that an equal result for an equal dataset is an equal artifact."""
    document = json.loads(json.dumps(document))
    version = document["meta"]["great_expectations_version"]
    for entry in document["results"]:
        entry["exception_info"] = {"messages": _find_messages(entry["exception_info"])}
        entry["expectation_config"]["kwargs"].pop("batch_id", None)
    return {**document, "meta": {"great_expectations_version": version}, "id": None}


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
