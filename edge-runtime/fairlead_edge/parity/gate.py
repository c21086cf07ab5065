"""Judge the figures of a target by its budget."""

from collections.abc import Iterator, Sequence

from fairlead_contracts.binomial import bound_above, bound_below
from fairlead_contracts.edge_parity import EdgeParity, Group
from fairlead_contracts.parity_budget import Budget

from ..errors import BundleRejected
from ..texts import shorten_name

_CONFIDENCE = 0.99
_SHOWN = 3


def check_parity(parity: EdgeParity, budget: Budget) -> None:
    """Raise BundleRejected, listing all figures that are over the budget, or not finite."""
    if problems := find_problems(parity, budget):
        raise BundleRejected("; ".join(problems))


def find_problems(parity: EdgeParity, budget: Budget) -> list[str]:
    """Return a line for each figure that is over the budget; none if the target is good enough."""
    groups = [
        *_check_groups("class", parity.classes, parity.class_count, budget.max_class_drop, budget.min_class_agreement),
        *_check_groups("slice", parity.slices, len(parity.slices), budget.max_slice_drop, budget.min_slice_agreement),
    ]
    more = [f"and {len(groups) - _SHOWN} more of classes and slices"] if len(groups) > _SHOWN else []
    return [
        *_check_accuracy(parity, budget),
        *_check_values(parity, budget),
        *_check_golden(parity, budget),
        *groups[:_SHOWN],
        *more,
    ]


def _check_accuracy(parity: EdgeParity, budget: Budget) -> Iterator[str]:
    lost = parity.lost - parity.won
    if lost > budget.max_drop * parity.examples + 1e-9:
        yield (
            f"accuracy drops from {parity.accuracy_before:.4f} to {parity.accuracy_after:.4f} "
            f"({lost} of {parity.examples} examples), expected a drop of at most {budget.max_drop:g}"
        )
    for name, sure, chance in (
        ("source", parity.sure_accuracy_before, parity.chance_before),
        ("target", parity.sure_accuracy_after, parity.chance_after),
    ):
        if sure <= chance:
            yield (
                f"the {name}'s accuracy is at least {sure:.4f} (99.99 % confidence), expected more than chance: "
                f"{chance:.4f} for answers that do not depend on the input"
            )
    if parity.accuracy_after < budget.min_accuracy:
        yield f"accuracy is {parity.accuracy_after:.4f}, expected at least {budget.min_accuracy:g}"
    yield from _check_examples(parity, budget.min_examples)
    if budget.max_missed_drop is not None and parity.drop_high > budget.max_missed_drop:
        yield (
            f"a drop in accuracy of up to {parity.drop_high:.4f} could have been missed with {parity.examples} "
            f"examples, expected at most {budget.max_missed_drop:g}"
        )
    if parity.agreement < budget.min_agreement:
        yield f"agreement is {parity.agreement:.4f}, expected at least {budget.min_agreement:g}"


def _check_examples(parity: EdgeParity, least: int) -> Iterator[str]:
    distinct = parity.examples if parity.distinct is None else parity.distinct
    if parity.examples < least:
        yield (
            f"{parity.examples} examples, expected at least {least}: with these, accuracy may drop by "
            f"{parity.drop_high:.1%} (95 % confidence)"
        )
    elif distinct < least:
        # copies of an example show no more than it does
        yield f"{parity.examples} examples, of which {distinct} are distinct, expected at least {least} distinct ones"


def _check_values(parity: EdgeParity, budget: Budget) -> Iterator[str]:
    largest = "the largest difference of an output value", parity.max_abs_difference, budget.max_difference
    mean = "the mean difference of output values", parity.mean_abs_difference, budget.max_mean_difference
    yield from _check_difference(*largest)
    yield from _check_difference(*mean)
    yield from _check_difference(
        "the mean difference of output values in standard deviations",
        parity.relative_mean_difference,
        budget.max_relative_difference,
    )


def _check_golden(parity: EdgeParity, budget: Budget) -> Iterator[str]:
    golden = parity.golden
    yield from _check_difference(
        f"on {golden.examples} examples one at a time, the mean difference of output values in standard deviations",
        golden.relative_mean_difference,
        budget.max_relative_difference,
    )
    if bound_above(golden.agreeing, golden.examples, _CONFIDENCE) < budget.min_agreement:
        yield (
            f"on examples one at a time, the classes agree for {golden.agreeing} of {golden.examples}, expected an "
            f"agreement of at least {budget.min_agreement:g}"
        )


def _check_difference(what: str, value: float, limit: float | None) -> Iterator[str]:
    if not value < float("inf"):
        yield f"{what} is {value}, expected a finite number"
    elif limit is not None and value > limit:
        yield f"{what} is {value:g}, expected at most {limit:g}"


def _check_groups(
    kind: str, groups: Sequence[Group], count: int, max_drop: float, min_agreement: float
) -> Iterator[str]:
    """Yield what the examples of a group prove: the more groups there are, the likelier is chance in one of them.

    All of them together are wrong with a probability of 1 %: C. E. Bonferroni's correction.
    """
    confidence = 1 - (1 - _CONFIDENCE) / max(count, 1)
    for group in groups:
        name = f"{kind} {shorten_name(group.value if kind == 'class' else f'{group.column}={group.value}')}"
        lost = max(0, group.right_before - group.right_after)
        if bound_below(lost, group.examples, confidence) > max_drop:
            yield (
                f"{name}: accuracy drops by {group.drop:.4f} ({lost} of {group.examples} examples), expected at most "
                f"{max_drop:g}"
            )
        if bound_above(group.agreeing, group.examples, confidence) < min_agreement:
            agreement = group.agreeing / group.examples
            yield f"{name}: agreement is {agreement:.4f}, expected at least {min_agreement:g}"
