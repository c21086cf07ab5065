"""Releases of a deployment's model under load: candidates that are right, wrong, slow, broken, or that crash."""

from dataclasses import dataclass

from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import MODEL_DEPLOYMENT, Object, change

GRAPH, COMPONENTS = "spec__predictors__0__graph", "spec__predictors__0__componentSpecs"
STEPS = [{"traffic": 20, "seconds": 2}, {"traffic": 50, "seconds": 2}]
_ANALYSIS = {"intervalSeconds": 2, "minRequests": 20, "failureLimit": 0}
QUALITY = _ANALYSIS | {"maxErrorRate": 0.2, "minAgreement": 0.8, "mirrorPercent": 50}
SPEED = _ANALYSIS | {"maxP99Seconds": 0.5, "minRequests": 5}
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
address = os.environ.get("FAIRLEAD_BIND_ADDRESS", ""), int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
"""A Seldon microservice that answers rightly, but slowly."""


@dataclass(frozen=True)
class Releases:
    """A deployment and the candidates that it gets."""

    kubectl: Kubectl
    namespace: str
    name: str
    secret: str | None = None
    """The Secret with the credentials of the models' store."""

    def serve(self, uri: str | Object, analysis: Object, **more: object) -> None:
        """Apply the deployment with a model, or with a container that answers in its place."""
        graph = {"name": "model", "type": "MODEL"} | ({"modelUri": uri} if isinstance(uri, str) else {})
        if self.secret:
            graph["envSecretRefName"] = self.secret
        components = [] if isinstance(uri, str) else [{"spec": {"containers": [{"name": "model", **uri}]}}]
        rollout = {"steps": STEPS, "analysis": analysis, "progressDeadlineSeconds": 60} | more
        self.kubectl.apply(change(
            MODEL_DEPLOYMENT, metadata={"name": self.name, "namespace": self.namespace}, spec__rollout=rollout,
            **{GRAPH: graph, COMPONENTS: components},
        ))  # fmt: skip

    def read(self) -> Object:
        """Return the deployment."""
        return self.kubectl.get("mdep", self.name, self.namespace)

    def wait_for_first(self, seconds: float = 120) -> str:
        """Wait until the first revision serves, and return it."""

        def is_ready() -> bool:
            found = self.read()
            return bool(found.get("status", {}).get("stableRevision")) and (
                condition(found, "Ready").get("status") == "True"
            )

        wait_for(is_ready, f"{self.name} to be ready", seconds)
        return str(self.read()["status"]["stableRevision"])

    def wait_for_end(self, phase: str, before: str, seconds: float = 60) -> Object:
        """Wait until a rollout has ended in a phase and return the deployment's status."""

        def ended() -> Object:
            found = self.read()
            status = found["status"]
            if status.get("observedGeneration") != found["metadata"]["generation"]:
                return {}  # it still tells of the rollout before
            stable, rollout = status.get("stableRevision"), status.get("rollout", {})
            moved = stable != before if phase == "Promoted" else rollout.get("failedRevision")
            over = rollout.get("phase") == phase and moved and not status.get("candidateRevision")
            return status if over else {}

        try:
            return dict(wait_for(ended, f"{self.name} to be {phase}", seconds))
        except AssertionError:
            print(self.kubectl("describe", "mdep", self.name, "-n", self.namespace))
            print(self.kubectl("get", "pods", "-o", "wide", "-n", self.namespace))
            raise

    def read_events(self) -> dict[str, str]:
        """Return the messages of the deployment's events by reason."""
        items = self.kubectl.list("events", self.namespace)
        return {item["reason"]: item["message"] for item in items if item["involvedObject"]["name"] == self.name}
