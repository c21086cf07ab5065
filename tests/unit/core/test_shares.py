"""What predictors get next, as arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest
from fairlead.api.traffic import Stickiness, TrafficShare, TrafficStatus
from fairlead.core import names
from fairlead.core.model_deployment.observed import ServerReading
from fairlead.core.model_deployment.shares import DesiredShare, Facts, advance, read_desired
from fairlead.core.model_deployment.traffic import add_up, build_documents, is_in_force
from fairlead_contracts.traffic import MAX_ROUTES, Agreement, Counts, TrafficFacts

from tests.support.resources import make_deployment
from tests.support.splits import predictor

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ADDRESSES = dict.fromkeys(("a", "b", "c", "new"), "10.1.1.1")


def state(entry: str = "a", **weights: int) -> TrafficStatus:
    shares = tuple(TrafficShare(name=name, weight=weight, address="10.1.1.1") for name, weight in weights.items())
    return TrafficStatus(entry=entry, splitting=(entry,), shares=shares, generation=5, window=5, moved_at=NOW)


def step(before: TrafficStatus, facts: Facts, seconds: float = 60, **weights: int) -> TrafficStatus:
    desired = [DesiredShare(name, weight) for name, weight in weights.items()]
    return advance(before, desired, next(iter(weights)), None, facts, NOW + timedelta(seconds=seconds))


def weights_of(found: TrafficStatus) -> dict[str, int]:
    return {share.name: share.weight for share in found.shares}


@pytest.mark.parametrize(
    ("reason", "before", "desired", "ready", "expected"),
    [
        ("what is ready gets more at once", {"a": 90, "b": 10}, {"a": 50, "b": 50}, "b", {"a": 50, "b": 50}),
        ("what is not ready keeps what it has", {"a": 90, "b": 10}, {"a": 50, "b": 50}, "", {"a": 50, "b": 10}),
        ("less is in force at once", {"a": 50, "b": 50}, {"a": 100, "b": 0}, "", {"a": 100, "b": 0}),
        ("a new one waits, and an earlier one answers", {"a": 90, "b": 10}, {"a": 80, "new": 20}, "a",
         {"a": 80, "new": 0, "b": 10}),
        ("the earlier one keeps no more than is missing", {"a": 10, "b": 90}, {"a": 80, "new": 20}, "a",
         {"a": 80, "new": 0, "b": 20}),
        ("the earlier one has nothing once the new one is ready", {"a": 90, "b": 10}, {"a": 80, "new": 20}, "new",
         {"a": 80, "new": 20}),
        ("two earlier ones share what is missing", {"a": 20, "b": 40, "c": 40}, {"a": 50, "new": 50}, "a",
         {"a": 50, "new": 0, "b": 40, "c": 10}),
    ],
)  # fmt: skip
def test_a_predictor_loses_at_once_and_gains_with_its_pods(
    reason: str, before: dict[str, int], desired: dict[str, int], ready: str, expected: dict[str, int]
) -> None:
    facts = Facts(ready=frozenset({ready}), addresses=ADDRESSES)
    found = step(state(**before), facts, **desired)
    assert weights_of(found) == expected, reason
    assert (found.generation, found.window) == (6, 6)
    assert step(found, facts, **desired) == found


def test_nothing_is_kept_for_a_predictor_that_is_to_have_no_pods() -> None:
    found = step(state(a=90, b=10), Facts(frozenset("a"), empty=frozenset({"new"})), a=80, new=20)
    assert weights_of(found) == {"a": 80, "new": 0}


def test_an_entry_without_pods_takes_over_only_if_no_predictor_is_to_have_any() -> None:
    some = step(state(a=90, b=10), Facts(frozenset("a"), empty=frozenset("b")), b=10, a=90)
    assert (some.entry, some.splitting) == ("a", ("a",))
    none = step(state(a=90, b=10), Facts(empty=frozenset("bc")), b=10, c=90)
    assert (none.entry, none.splitting, none.generation) == ("b", ("b",), 6)


def test_a_single_predictor_beside_shadows_gets_everything() -> None:
    spec = make_deployment(spec__predictors=[predictor("dark", shadow=30), predictor("main")]).spec
    assert read_desired(spec.predictors) == (DesiredShare("dark", mirror=30), DesiredShare("main", 100))


def test_another_address_is_told_but_begins_no_window() -> None:
    found = step(state(a=90, b=10), Facts(addresses={"b": "10.9.9.9"}), a=90, b=10)
    assert (found.generation, found.window, found.shares[1].address) == (6, 5, "10.9.9.9")


def test_another_content_begins_a_window() -> None:
    found = step(state(a=90, b=10), Facts(contents={"b": "12345678"}), a=90, b=10)
    assert (found.generation, found.window) == (6, 6)


def test_stickiness_that_changes_is_told() -> None:
    desired = [DesiredShare("a", 90), DesiredShare("b", 10)]
    found = advance(state(a=90, b=10), desired, "a", Stickiness(header="X-User"), Facts(), NOW)
    assert (found.generation, found.stickiness) == (6, Stickiness(header="X-User"))


def test_an_entry_moves_in_steps_each_of_which_waits() -> None:
    spec, ready = {"b": 10, "a": 90}, Facts(ready=frozenset("ab"), addresses=ADDRESSES)
    sorted_ = step(state(a=90, b=10), Facts(), **spec)
    assert (sorted_.entry, sorted_.splitting) == ("a", ("a",)), "pods that are not ready take over nothing"
    joined = step(sorted_, ready, **spec)
    assert (joined.entry, joined.splitting, joined.generation) == ("a", ("a", "b"), sorted_.generation + 1)
    assert step(joined, ready, **spec) == joined, "its servers have not confirmed"
    moved = step(joined, Facts(frozenset("ab"), confirmed=frozenset("b"), addresses=ADDRESSES), **spec)
    assert (moved.entry, moved.splitting, moved.generation) == ("b", ("a", "b"), joined.generation)
    assert step(moved, ready, 600, **spec) == moved, "the Service is not applied yet"
    selected = Facts(frozenset("ab"), addresses=ADDRESSES, selected=True)
    assert step(moved, selected, 64, **spec) == moved, "Services change their routes"
    assert step(moved, selected, 65, **spec).splitting == ("b",)


def test_removed_predictors_are_never_more_than_a_document_has_room_for() -> None:
    before = state(a=0, **{f"old{number}": 6 for number in range(16)})
    found = step(before, Facts(), **{"a": 0}, **{f"new{number}": 20 for number in range(5)}, b=0, c=0)
    assert len(found.shares) == MAX_ROUTES
    found = found.model_copy(update={"splitting": ("z",), "entry": "z"})
    status = make_deployment().status.model_copy(update={"traffic": found})
    assert len(build_documents(make_deployment().model_copy(update={"status": status}))["z"].routes) == 8


def test_only_a_server_of_a_known_predictor_counts_as_told() -> None:
    status = make_deployment().status.model_copy(update={"traffic": state(a=90, b=10)})
    for revision, generation, told in (("a", 5, True), ("b", 5, True), ("z", 5, False), ("a", 4, False)):
        facts = TrafficFacts(server="s", revision=revision, generation=generation, window=5)
        assert is_in_force(status, ServerReading("u", facts).facts) == told


def test_sums_that_lie_fit_into_a_status() -> None:
    most = (1 << 53) - 1
    lie = Agreement(compared=1, agreed=most, dropped=most, max_distance=1.7e308)
    found = add_up([Counts(requests=1, errors=most)], [lie, lie])
    assert (found.errors, found.agreed, found.dropped) == (1, 2, most)
    assert float(f"{found.max_distance:.4g}") < float("inf")


def test_names_of_a_predictors_children_are_short_enough_and_its_own() -> None:
    longest = make_deployment(metadata__name="d" * 40)
    assert len(names.predictor_service_name(longest, "p" * 12)) <= 63
    one, other = make_deployment(metadata__name="a"), make_deployment(metadata__name="a-b")
    assert names.predictor_service_name(one, "b-c") != names.predictor_service_name(other, "c")
    assert names.predictor_service_name(one, "b") != other.metadata.name
