"""What the campaign of faults sees of a rollout, and calls wrong."""

from typing import Any

import pytest
from fairlead_contracts.traffic import Route, TrafficDocument

from tests.chaos.operator.graph_server import GraphServer
from tests.chaos.operator.history import History

Object = dict[str, Any]
ROUTE = Route(name="two", host="127.0.0.1", port=8080, grpc_port=9000, percent=20, mirror_percent=10)


def status(stable: str | None = "one", candidate: str | None = None, **rollout: Any) -> Object:
    revisions = {"stableRevision": stable, "candidateRevision": candidate}
    return {key: value for key, value in revisions.items() if value} | {"rollout": rollout}


def measured(generation: int = 3, *verdicts: int, **more: Any) -> Object:
    found = [{"at": at, "result": "Passed"} for at in verdicts]
    facts = {"generation": generation, "address": "127.0.0.1", "weight": 20, "mirror": 10, "verdicts": found}
    return status("one", "two", **facts | more)


def document(generation: int, *routes: Route, revision: str = "one") -> TrafficDocument:
    return TrafficDocument(revision=revision, generation=generation, window=generation, routes=routes)


GOOD = [
    status(generation=1),
    status("one", "two", generation=2, phase="Scaling"),
    measured(3),
    measured(4, 1),
    measured(5, 1, 2),
    status("two", generation=6, phase="Promoted"),
]


def test_a_promotion_is_as_it_should_be() -> None:
    history = History(GOOD, ["one", "one", "two"])
    documents = [document(1), document(2), document(3, ROUTE), document(5, ROUTE), document(6, revision="two")]
    assert history.find_problem(documents) == ""


def test_only_the_last_ten_verdicts_are_kept() -> None:
    history = History([measured(3, *range(10)), measured(4, *range(1, 11)), measured(5, *range(3, 13))])
    assert history.find_problem([]) == ""


@pytest.mark.parametrize(
    ("statuses", "problem"),
    [
        ([status(failedRevision="two"), status("one", "two")], "is the candidateRevision again"),
        ([status(failedRevision="two"), status("two")], "is the stableRevision again"),
        ([measured(3, 1), measured(4)], "were"),
        ([measured(3, 1, 2), measured(4, 2)], "were"),
        ([measured(3, 1), measured(4, 5, 6)], "were"),
        ([measured(3, failures=1), measured(4, failures=0)], "a failed verdict"),
    ],
)  # fmt: skip
def test_a_verdict_that_is_taken_back_is_found(statuses: list[Object], problem: str) -> None:
    assert problem in History(statuses).find_problem([])


@pytest.mark.parametrize(
    ("selectors", "problem"),
    [
        (["one", "three"], "was not the stable one"),
        (["one", "two", "one"], "selected revision one again"),
        (["one", None, "two"], "pods of all revisions"),
    ],
)
def test_a_service_that_selects_other_pods_than_the_stable_ones_is_found(
    selectors: list[str | None], problem: str
) -> None:
    assert problem in History(GOOD, selectors).find_problem([])


@pytest.mark.parametrize(
    "wrong",
    [
        document(6, ROUTE, revision="two"),  # the candidate is the stable one
        document(2, ROUTE),  # its share before its pods are ready
        document(7),  # no status has this generation
        document(3),  # the share is missing
        document(3, ROUTE.model_copy(update={"percent": 50})),
    ],
)
def test_a_document_that_no_status_says_is_found(wrong: TrafficDocument) -> None:
    assert "which no status says" in History(GOOD).find_problem([document(3, ROUTE), wrong])


def test_a_simulated_server_keeps_generations_as_the_contract_says() -> None:
    server = GraphServer({"metadata": {"uid": "u", "namespace": "n"}}, "one", "model", b"")
    assert not server.accept(document(3, revision="two"))
    assert server.accept(document(1, ROUTE))
    server.provisional = True  # the one of its folder, which a signed one of the same generation replaces
    assert server.accept(document(1))
    assert server.accept(document(3, ROUTE))
    server.tallies["two"].requests = 7.9
    assert server.accept(document(3, ROUTE))
    assert server.to_facts().routes[0].counts.requests == 7
    assert not server.accept(document(3))
    assert not server.accept(document(2))
    assert server.accept(document(4, ROUTE).model_copy(update={"window": 3}))
    assert server.to_facts().routes[0].counts.requests == 7, "the window is the same"
    assert server.accept(document(5, ROUTE))
    assert server.to_facts().routes[0].counts.requests == 0
