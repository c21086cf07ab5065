"""What the gate found, for people and for programs."""

from .gate import Verdict, bound
from .importing import Imported


def build_text(imported: Imported) -> str:
    """Return lines about the agreement, and why the annotations do not pass."""
    verdict, agreement = imported.verdict, imported.verdict.agreement
    kappa = "not defined" if agreement.kappa is None else f"{agreement.kappa:.3f}"
    lines = [
        f"annotators  {len(agreement.deviations):,}",
        f"items       {len(agreement.majority):,} labelled, {len(agreement.disputed):,} disputed, "
        f"{len(verdict.incomplete):,} incomplete",
        f"kappa       {kappa} ({agreement.statistic})",
        *(f"{name:<11} {count:,}" for name, count in imported.sizes.items()),
        *bound(verdict.problems, "more lines, which the report has"),
    ]
    return "".join(f"{line}\n" for line in lines)


def build_json(verdict: Verdict) -> dict[str, object]:
    """Return all of it, with items and annotators by name."""
    agreement = verdict.agreement
    return {
        "passed": not verdict.problems,
        "problems": list(verdict.problems),
        "statistic": agreement.statistic,
        "kappa": agreement.kappa,
        "pairs": [
            {"annotators": list(pair.annotators), "items": pair.items, "kappa": pair.kappa} for pair in agreement.pairs
        ],
        "deviations": dict(agreement.deviations),
        "disputed": {item: dict(verdict.answers[item]) for item in agreement.disputed},
        "incomplete": list(verdict.incomplete),
        "labels": dict(agreement.majority),
    }
