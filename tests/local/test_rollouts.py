"""Rollouts on the local cluster under load: a good candidate is promoted; wrong, slow, broken ones are rolled back."""

import sys
import time
from collections.abc import Callable

from tests.local.support import IMAGE, LocalCluster
from tests.support import onnx_models as onnx
from tests.support.api_server import Kubectl
from tests.support.clients import Clients
from tests.support.releases import QUALITY, SLOW, SPEED, Releases

NAME = "scaled"


def test_candidates_are_promoted_or_rolled_back_by_what_their_requests_show(
    fairlead: LocalCluster, store: Callable[[str, bytes], str]
) -> None:
    releases = Releases(Kubectl(fairlead.kubeconfig), "default", NAME)
    releases.serve(store("v1", onnx.scale(2.0, ["n", 3])), QUALITY)
    first = releases.wait_for_first()
    with Clients(fairlead.get("service", NAME)["spec"]["clusterIP"], NAME) as clients:
        releases.serve(store("good", onnx.scale(2.0, ["n", 3], opset=18)), QUALITY)
        status = releases.wait_for_end("Promoted", first)
        good = status["stableRevision"]
        assert {verdict["result"] for verdict in status["rollout"]["verdicts"]} <= {"Passed", "Inconclusive"}
        assert clients.answers.keys() == {"[2.0, 4.0, 8.0]"}

        releases.serve(store("wrong", onnx.scale(-1.0, ["n", 3])), QUALITY)
        status = releases.wait_for_end("RolledBack", good)
        assert (status["stableRevision"], status["rollout"]["reason"]) == (good, "AnalysisFailed")
        assert "differ" in releases.read_events()["AnalysisFailed"]
        right, wrong = clients.answers["[2.0, 4.0, 8.0]"], clients.answers["[-1.0, -2.0, -4.0]"]
        assert wrong < right / 2, "it never gets more than its step's share"

        releases.serve({"image": IMAGE, "command": [sys.executable, "-u", "-c", SLOW]}, SPEED)
        status = releases.wait_for_end("RolledBack", good)
        assert status["rollout"]["reason"] == "AnalysisFailed"
        assert "took longer than 0.5 s" in status["rollout"]["message"]

        releases.serve(store("broken", b"\x08\x07\x12"), QUALITY, progressDeadlineSeconds=15)
        status = releases.wait_for_end("RolledBack", good)
        assert status["rollout"]["reason"] in ("RolloutDeadlineExceeded", "CandidateFailing")
        time.sleep(1)
    assert clients.failed == [], fairlead.kubectl("get", "mdep", NAME, "-o", "yaml")
    assert clients.answers.keys() == {"[2.0, 4.0, 8.0]", "[-1.0, -2.0, -4.0]"}
    revisions = {
        item["metadata"]["name"] for item in fairlead.list("controllerrevisions", f"fairlead.dev/deployment={NAME}")
    }
    assert f"{NAME}-{good}" in revisions
