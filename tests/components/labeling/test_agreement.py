"""Kappa as it is published, and where it is not defined."""

import time

import pytest
from fairlead_labeling.agreement import cohen_kappa, fleiss_kappa, measure

# Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions", also the example of the article on Fleiss'
# kappa in Wikipedia: 14 raters, 10 subjects, 5 categories.
FLEISS = [
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
]  # fmt: skip


def test_fleiss_kappa_is_that_of_the_published_example() -> None:
    items = [[str(label) for label, count in enumerate(row) for _ in range(count)] for row in FLEISS]
    assert fleiss_kappa(items) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        # yes-yes, yes-no, no-yes, no-no: the examples of the article on Cohen's kappa in Wikipedia
        ((20, 5, 10, 15), 0.4),
        ((45, 15, 25, 15), 0.1304),
        ((25, 35, 5, 35), 0.2593),
        ((0, 5, 5, 0), -1.0),
        ((5, 0, 0, 5), 1.0),
    ],
)
def test_cohen_kappa_is_that_of_published_examples(table: tuple[int, ...], kappa: float) -> None:
    pairs = [("yes", "yes"), ("yes", "no"), ("no", "yes"), ("no", "no")]
    rows = [pair for pair, count in zip(pairs, table, strict=True) for _ in range(count)]
    first, second = zip(*rows, strict=True)
    assert cohen_kappa(first, second) == pytest.approx(kappa, abs=1e-4)


def test_a_single_label_has_no_kappa() -> None:
    assert cohen_kappa(["a", "a"], ["a", "a"]) is None
    assert fleiss_kappa([["a", "a", "a"], ["a", "a", "a"]]) is None


def test_two_annotators_of_everything_are_cohens_case_and_all_others_fleiss() -> None:
    two = {"1": {"ann": "a", "bob": "a"}, "2": {"ann": "b", "bob": "b"}}
    assert measure(two).statistic == "cohen"
    assert measure(two | {"3": {"ann": "a", "eve": "a"}}).statistic == "fleiss"


def test_the_majority_is_more_than_half() -> None:
    found = measure({
        "1": {"ann": "a", "bob": "a", "eve": "b"},
        "2": {"ann": "a", "bob": "b", "eve": "c"},
        "3": {"ann": "a", "bob": "b"},
        "4": {"ann": "c", "bob": "c"},
    })  # fmt: skip
    assert (found.majority, found.disputed) == ({"1": "a", "4": "c"}, ("2", "3"))
    assert found.deviations == {"ann": 0, "bob": 0, "eve": 1}


def test_the_most_items_and_many_annotators_are_measured_in_seconds() -> None:
    """Three annotations each: by pairs and by labels, nothing is counted over all items again."""
    labels = [f"label {number}" for number in range(10_000)]
    answers = {
        str(item): {
            f"user-{(7 * item + 13 * place) % 1000}": labels[(item * (place == 2) + item) % 10_000]
            for place in range(3)
        }
        for item in range(100_000)
    }
    start = time.monotonic()
    found = measure(answers)
    assert time.monotonic() - start < 20
    assert (found.statistic, len(found.majority)) == ("fleiss", 100_000)
    assert len(found.deviations) == 1000


def test_pairs_are_those_with_a_common_item() -> None:
    found = measure({"1": {"ann": "a", "bob": "a"}, "2": {"bob": "b", "eve": "a"}})
    assert [(pair.annotators, pair.items, pair.kappa) for pair in found.pairs] == [
        (("ann", "bob"), 1, None), (("bob", "eve"), 1, 0.0),
    ]  # fmt: skip
