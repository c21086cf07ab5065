"""Rollouts on the local cluster under load: a good candidate is promoted; wrong, slow, broken ones are rolled back."""

import json
import sys
import time
from collections.abc import Callable

from tests.local.clients import Clients
from tests.local.support import IMAGE, LocalCluster
from tests.support import onnx_models as onnx
from tests.support.api_server import condition, wait_for
from tests.support.resources import MODEL_DEPLOYMENT, Object, change

GRAPH, COMPONENTS = "spec__predictors__0__graph", "spec__predictors__0__componentSpecs"
STEPS = [{"traffic": 20, "seconds": 2}, {"traffic": 50, "seconds": 2}]
ANALYSIS = {"intervalSeconds": 2, "minRequests": 20, "failureLimit": 0}
QUALITY = ANALYSIS | {"maxErrorRate": 0.2, "minAgreement": 0.8, "mirrorPercent": 50}
SPEED = ANALYSIS | {"maxP99Seconds": 0.5, "minRequests": 5}
SLOW = """
import http.server, json, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(b"{}")
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(1.5)
        tensor = message["data"]["tensor"]
        tensor["values"] = [2 * value for value in tensor["values"]]
        self.answer(json.dumps({"data": {"tensor": tensor}}).encode())
address = os.environ["FAIRLEAD_BIND_ADDRESS"], int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
"""A Seldon microservice that answers rightly, but slowly."""


def serve(cluster: LocalCluster, name: str, uri: str | None, analysis: Object, **more: object) -> None:
    """Apply a deployment with a model, or with the slow microservice."""
    graph = {"name": "model", "type": "MODEL"} | ({"modelUri": uri} if uri else {})
    container = {"name": "model", "image": IMAGE, "command": [sys.executable, "-u", "-c", SLOW]}
    components = [] if uri else [{"spec": {"containers": [container]}}]
    rollout = {"steps": STEPS, "analysis": analysis, "progressDeadlineSeconds": 60} | more
    cluster.apply(change(
        MODEL_DEPLOYMENT, metadata__name=name, spec__rollout=rollout, **{GRAPH: graph, COMPONENTS: components},
    ))  # fmt: skip


def wait_for_end(cluster: LocalCluster, name: str, phase: str, before: str) -> Object:
    """Wait until a rollout has ended in a phase and return the deployment's status."""

    def ended() -> Object:
        found = cluster.get("mdep", name)
        status = found["status"]
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}  # it still tells of the rollout before
        stable, rollout = status.get("stableRevision"), status.get("rollout", {})
        moved = stable != before if phase == "Promoted" else rollout.get("failedRevision")
        over = rollout.get("phase") == phase and moved and not status.get("candidateRevision")
        return status if over else {}

    try:
        return dict(wait_for(ended, f"{name} to be {phase}", 60))
    except AssertionError:
        print(cluster.kubectl("describe", "mdep", name))
        print(cluster.kubectl("get", "pods", "-o", "wide"))
        raise


def events(cluster: LocalCluster, name: str) -> dict[str, str]:
    """Return the messages of a deployment's events by reason."""
    items = json.loads(cluster.kubectl("get", "events", "-o", "json"))["items"]
    return {item["reason"]: item["message"] for item in items if item["involvedObject"]["name"] == name}


def test_candidates_are_promoted_or_rolled_back_by_what_their_requests_show(
    fairlead: LocalCluster, store: Callable[[str, bytes], str]
) -> None:
    name = "scaled"
    serve(fairlead, name, store("v1", onnx.scale(2.0, ["n", 3])), QUALITY)

    def is_ready() -> bool:
        status = fairlead.get("mdep", name).get("status", {})
        return bool(status.get("stableRevision")) and condition({"status": status}, "Ready").get("status") == "True"

    wait_for(is_ready, f"{name} to be ready", 120)
    first = fairlead.get("mdep", name)["status"]["stableRevision"]
    with Clients(fairlead.get("service", name)["spec"]["clusterIP"], name) as clients:
        serve(fairlead, name, store("good", onnx.scale(2.0, ["n", 3], opset=18)), QUALITY)
        status = wait_for_end(fairlead, name, "Promoted", first)
        good = status["stableRevision"]
        assert {verdict["result"] for verdict in status["rollout"]["verdicts"]} <= {"Passed", "Inconclusive"}
        assert clients.answers.keys() == {"[2.0, 4.0, 8.0]"}

        serve(fairlead, name, store("wrong", onnx.scale(-1.0, ["n", 3])), QUALITY)
        status = wait_for_end(fairlead, name, "RolledBack", good)
        assert (status["stableRevision"], status["rollout"]["reason"]) == (good, "AnalysisFailed")
        assert "differ" in events(fairlead, name)["AnalysisFailed"]
        right, wrong = clients.answers["[2.0, 4.0, 8.0]"], clients.answers["[-1.0, -2.0, -4.0]"]
        assert wrong < right / 2, "it never gets more than its step's share"

        serve(fairlead, name, None, SPEED)
        status = wait_for_end(fairlead, name, "RolledBack", good)
        assert status["rollout"]["reason"] == "AnalysisFailed"
        assert "took longer than 0.5 s" in status["rollout"]["message"]

        serve(fairlead, name, store("broken", b"\x08\x07\x12"), QUALITY, progressDeadlineSeconds=15)
        status = wait_for_end(fairlead, name, "RolledBack", good)
        assert status["rollout"]["reason"] in ("RolloutDeadlineExceeded", "CandidateFailing")
        time.sleep(1)
    assert clients.failed == [], fairlead.kubectl("get", "mdep", name, "-o", "yaml")
    assert clients.answers.keys() == {"[2.0, 4.0, 8.0]", "[-1.0, -2.0, -4.0]"}
    revisions = {
        item["metadata"]["name"] for item in fairlead.list("controllerrevisions", f"fairlead.dev/deployment={name}")
    }
    assert f"{name}-{good}" in revisions
