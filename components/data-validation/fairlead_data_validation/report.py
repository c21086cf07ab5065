"""The human-readable result: a plain table for the terminal, a Markdown table for the artifact."""

from .expectations import Outcome, Result

_HEAD = ("", "column", "expectation", "expected", "observed")


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


def _row(outcome: Outcome, good: str, bad: str) -> tuple[str, ...]:
    mark = good if outcome.success else bad
    return (mark, outcome.column, outcome.expectation, outcome.expected, outcome.observed)
