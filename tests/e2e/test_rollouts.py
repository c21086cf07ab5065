"""Rollouts in pods, under load from a pod: a good candidate is promoted, and bad ones are rolled back."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fairlead_cluster.base.home import CHECKOUT

from tests.e2e.conftest import NAMESPACE
from tests.e2e.digits import VERSION
from tests.support import onnx_models as onnx
from tests.support.api_server import Kubectl, Object, wait_for
from tests.support.kind import CONTAINER, started_step
from tests.support.releases import QUALITY, SLOW, SPEED, Releases

NAME, CLIENTS = "releases", "releases-clients"
IMAGE = f"fairlead/graph-server:{VERSION}"
RIGHT, WRONG = "[2.0, 4.0, 8.0]", "[-1.0, -2.0, -4.0]"


@pytest.fixture
def releases(kubectl: Kubectl, operator: None) -> Iterator[Releases]:
    """The deployment, of which nothing is left afterwards."""
    kubectl("delete", "mdep", NAME, "-n", NAMESPACE, "--ignore-not-found")
    yield Releases(kubectl, NAMESPACE, NAME, "artifact-store")
    kubectl("delete", "mdep", NAME, "-n", NAMESPACE)


@contextmanager
def started_clients(kubectl: Kubectl) -> Iterator[Callable[[], Object]]:
    """Send requests from a pod during the block; yields a function that returns what they got so far."""
    script = (CHECKOUT / "tests" / "support" / "clients.py").read_text()
    command = ["python3", "/input/clients.py", NAME, NAME]

    def read() -> Object:
        line = kubectl("logs", CLIENTS, "-n", NAMESPACE, "--tail=1", check=False)
        return dict(json.loads(line)) if line.startswith("{") else {}

    with started_step(kubectl, NAMESPACE, CLIENTS, IMAGE, command, **{"clients.py": script}):
        wait_for(lambda: read().get("answers"), "the clients to get answers", 120)
        yield read


def test_candidates_in_pods_are_promoted_or_rolled_back_by_what_their_requests_show(
    kubectl: Kubectl, releases: Releases, publish: Callable[[str, bytes], str]
) -> None:
    releases.serve(publish("v1", onnx.scale(2.0, ["n", 3])), QUALITY)
    first = releases.wait_for_first(180)
    with started_clients(kubectl) as read:
        releases.serve(publish("good", onnx.scale(2.0, ["n", 3], opset=18)), QUALITY)
        status = releases.wait_for_end("Promoted", first, 180)
        good = status["stableRevision"]
        assert {verdict["result"] for verdict in status["rollout"]["verdicts"]} <= {"Passed", "Inconclusive"}
        assert read()["answers"].keys() == {RIGHT}

        releases.serve(publish("wrong", onnx.scale(-1.0, ["n", 3])), QUALITY)
        status = releases.wait_for_end("RolledBack", good, 180)
        assert (status["stableRevision"], status["rollout"]["reason"]) == (good, "AnalysisFailed")
        assert "differ" in releases.read_events()["AnalysisFailed"]
        answers = read()["answers"]
        assert answers[WRONG] < answers[RIGHT] / 2, "it never gets more than its step's share"

        slow = {"image": IMAGE, "command": ["python3", "-u", "-c", SLOW], "securityContext": CONTAINER}
        releases.serve(slow, SPEED)
        status = releases.wait_for_end("RolledBack", good, 180)
        assert status["rollout"]["reason"] == "AnalysisFailed"
        assert "took longer than 0.5 s" in status["rollout"]["message"]
        time.sleep(2)
        found = read()
        assert found["failed"] == []
        assert found["answers"].keys() == {RIGHT, WRONG}

        # its process ends in each request, and those are its errors, which clients get for its share
        releases.serve(publish("crashing", onnx.crashing(4, ["n", 3])), QUALITY)
        status = releases.wait_for_end("RolledBack", good, 180)
        assert (status["stableRevision"], status["rollout"]["reason"]) == (good, "AnalysisFailed")
        wait_for(lambda: fails_no_more(read), "the requests to fail no more", 60)
        found, failed = read(), status["rollout"]["failedRevision"]
        assert all(f" 500 of {failed}: " in failure for failure in found["failed"]), found["failed"]
        assert len(found["failed"]) < found["answers"][RIGHT] / 4


def fails_no_more(read: Callable[[], Object]) -> bool:
    """Return whether no request fails for some seconds; those that a crashed process had got are answered late."""
    before = read()["failed"]
    time.sleep(5)
    return bool(read()["failed"] == before)
