"""The human-readable result: a plain table for the terminal, Markdown and HTML for the artifact."""

from collections.abc import Sequence
from html import escape

import pandas as pd  # type: ignore[import-untyped, unused-ignore]

from .expectations import Outcome, Result
from .tables import count_distinct

_HEAD = ("", "column", "expectation", "expected", "observed")
_FIGURES = ("column", "type", "missing", "distinct", "smallest", "mean", "largest")
_MAX_COLUMNS = 200
"""The most columns whose figures the page shows."""
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.25rem .8rem}"
    "td,th{text-align:left;overflow-wrap:break-word}td{max-width:24rem}"
    ".good{color:#176b2c}.bad{color:#a11}code{font-size:.85em;color:#555;overflow-wrap:anywhere}"
)


def build_text(result: Result) -> str:
    """Return an aligned table."""
    rows = [_HEAD, *(_row(outcome, "ok", "FAILED") for outcome in result.outcomes)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def build_markdown(result: Result, dataset: str, digest: str) -> str:
    """Return a Markdown page with a table."""
    lines = [
        f"# Validation {'passed' if result.success else 'failed'}: {result.suite}",
        "",
        f"Dataset `{dataset}`, `{digest}`. {len(result.outcomes)} expectations, {len(result.failed)} not met.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'---|' * len(_HEAD)}",
    ]
    for outcome in result.outcomes:
        cells = (cell.replace("|", "\\|").replace("\n", " ") for cell in _row(outcome, "✓", "✗"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def build_html(result: Result, table: pd.DataFrame, dataset: str, digest: str) -> str:
    """Return one HTML page without scripts or references: the expectations, then figures of the columns."""
    color = "good" if result.success else "bad"
    verdict = f"Validation {'passed' if result.success else 'failed'}: {result.suite}"
    rows = [
        (_row(outcome, "✓", "✗"), "good" if outcome.success else "bad")
        for outcome in sorted(result.outcomes, key=lambda each: each.success)
    ]
    figures = [(_measure(str(name), table[name]), "") for name in table.columns[:_MAX_COLUMNS]]
    return (
        f"<!doctype html><meta charset=utf-8><title>Validation</title><style>{_STYLE}</style>"
        f"<h1 class={color}>{escape(verdict)}</h1><p>{len(table):,} rows, {len(result.outcomes)} expectations, "
        f"{len(result.failed)} not met.</p><p><code>{escape(dataset)} {escape(digest)}</code></p>"
        f"{_build_table(_HEAD, rows)}<h2>Columns</h2>{_build_table(_FIGURES, figures)}\n"
    )


def _build_table(head: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = (
        f"<tr class='{color}'>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells, color in rows
    )
    return f"<table><tr>{titles}</tr>{''.join(lines)}</table>"


def _measure(name: str, column: pd.Series) -> tuple[str, ...]:
    """Return the figures of a column."""
    known, types = column.dropna(), pd.api.types
    numbers = types.is_numeric_dtype(column) and not (types.is_bool_dtype(column) or types.is_complex_dtype(column))
    distinct = count_distinct(known)
    figures = (
        [f"{float(value):.6g}" for value in (known.min(), known.mean(), known.max())]
        if numbers and len(known)
        else [""] * 3
    )
    return (name, str(column.dtype), f"{column.isna().sum():,}", "" if distinct is None else f"{distinct:,}", *figures)


def _row(outcome: Outcome, good: str, bad: str) -> tuple[str, ...]:
    mark = good if outcome.success else bad
    return (mark, outcome.column, outcome.expectation, outcome.expected, outcome.observed)
