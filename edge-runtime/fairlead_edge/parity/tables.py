"""The figures of parity as tables of plain text."""

from collections.abc import Iterator, Sequence

from fairlead_contracts.edge_parity import EdgeParity, Group
from fairlead_contracts.parity_budget import Budget

from ..texts import clean, shorten_name
from .gate import find_problems

_SHOWN = 20
"""How many classes and slices a table has at most: those that lose the most."""


def build_table(parity: EdgeParity, budget: Budget) -> str:
    """Return the figures of a target beside their limits, then its classes and slices."""
    lines = [f"{'':<22}{'source':>12}{'target':>12}  {'limit':<16}"]
    for name, before, after, limit, note in (*_list_classes(parity, budget), *_list_values(parity, budget)):
        lines.append(f"{name:<22}{before:>12}{after:>12}  {limit:<16}{note}")
    for title, groups in (("class", parity.classes), ("slice", parity.slices)):
        lines += ["", *_list_groups(title, groups)] if groups else []
    lines += [f"over budget: {problem}" for problem in find_problems(parity, budget)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def build_comparison(results: Sequence[tuple[str, EdgeParity | str]], budget: Budget) -> str:
    """Return a table of targets, with the smallest that is within the budget marked."""
    problems = {name: find_problems(got, budget) for name, got in results if not isinstance(got, str)}
    kept = {
        name: figures.bytes_after for name, figures in results if not isinstance(figures, str) and not problems[name]
    }
    best = min(kept, key=lambda name: kept[name]) if kept else None
    head = f"{'target':<20}{'bytes':>12}{'accuracy':>10}{'agreement':>11}{'difference':>12}{'relative':>10}"
    lines = [head]
    for name, figures in results:
        if isinstance(figures, str):
            lines.append(f"{name:<20}{'':>55}  {clean(figures)}")
            continue
        columns = f"{figures.bytes_after:>12,}{figures.accuracy_after:>10.4f}{figures.agreement:>11.4f}"
        columns += f"{figures.max_abs_difference:>12.3g}{figures.relative_mean_difference:>10.3g}"
        note = "; ".join(problems[name]) or ("the smallest" if name == best else "")
        lines.append(f"{name:<20}{columns}  {note}".rstrip())
    return "\n".join([*lines, *_note_missed(results)]) + "\n"


def _note_missed(results: Sequence[tuple[str, EdgeParity | str]]) -> Iterator[str]:
    """Yield what the examples could not show, in the worst of the targets."""
    found = [figures for _, figures in results if not isinstance(figures, str)]
    if found:
        worst = max(figures.drop_high for figures in found)
        yield f"{found[0].examples} examples: a drop in accuracy of up to {worst:.1%} could be missed (95 % confidence)"


def _list_classes(parity: EdgeParity, budget: Budget) -> Iterator[tuple[str, str, str, str, str]]:
    yield (
        "accuracy", f"{parity.accuracy_before:.4f}", f"{parity.accuracy_after:.4f}", f"drop <= {budget.max_drop:g}",
        f"{parity.examples} held-out examples (>= {budget.min_examples}), {parity.lost} lost, {parity.won} won",
    )  # fmt: skip
    interval = f"{parity.accuracy_low:.3f}-{parity.accuracy_high:.3f}"
    least = f">= {budget.min_accuracy:g}" if budget.min_accuracy else ""
    yield "  95 % confidence", "", interval, least, "the target's accuracy"
    missed = "" if budget.max_missed_drop is None else f"<= {budget.max_missed_drop:g}"
    note = f"with {parity.examples} examples, a drop of up to {parity.drop_high:.1%} could be missed"
    yield "  missed drop", "", f"{parity.drop_high:.4f}", missed, note
    yield (
        "  99.99 % confidence", f"{parity.sure_accuracy_before:.4f}", f"{parity.sure_accuracy_after:.4f}", "> chance",
        f"chance: {parity.chance_before:.4f}, {parity.chance_after:.4f}",
    )  # fmt: skip
    agreement = f"{parity.agreement:.4f}"
    yield "agreement", "", agreement, f">= {budget.min_agreement:g}", "the same class"
    golden = parity.golden
    yield "  one at a time", "", f"{golden.agreeing} of {golden.examples}", "", "the same class"


def _list_values(parity: EdgeParity, budget: Budget) -> Iterator[tuple[str, str, str, str, str]]:
    relative = budget.max_relative_difference
    for name, value, limit, note in (
        ("largest difference", parity.max_abs_difference, budget.max_difference, "of any output value"),
        ("mean difference", parity.mean_abs_difference, budget.max_mean_difference, "of output values"),
        ("  relative", parity.relative_mean_difference, relative, "in standard deviations of the source's columns"),
        ("  one at a time", parity.golden.relative_mean_difference, relative, f"{parity.golden.examples} examples"),
    ):
        yield name, "", f"{value:.3g}", "" if limit is None else f"<= {limit:g}", note
    smaller = f"{parity.bytes_before / parity.bytes_after:.1f} times smaller" if parity.bytes_after else ""
    yield "bytes", f"{parity.bytes_before:,}", f"{parity.bytes_after:,}", "", smaller


def _list_groups(title: str, groups: Sequence[Group]) -> Iterator[str]:
    """Yield a head and a row for each group, in their order; of many, those that lose the most."""
    worst = sorted(groups, key=lambda group: (-group.drop, group.agreeing / group.examples))[:_SHOWN]
    shown = [group for group in groups if any(group is each for each in worst)]
    yield f"{title:<22}{'source':>12}{'target':>12}  {'95 %':<16}{'examples':>8}{'lost':>6}{'agreement':>11}"
    for group in shown:
        name = group.value if title == "class" else f"{group.column}={group.value}"
        accuracies = (f"{right / group.examples:>12.4f}" for right in (group.right_before, group.right_after))
        interval = f"{group.accuracy_low:.3f}-{group.accuracy_high:.3f}"
        counts = f"{group.examples:>8}{group.lost:>6}{group.agreeing / group.examples:>11.4f}"
        yield f"{shorten_name(name, 21):<22}{''.join(accuracies)}  {interval:<16}{counts}"
    if len(shown) < len(groups):
        yield f"… and {len(groups) - len(shown)} more, which lose less, in parity.json"
