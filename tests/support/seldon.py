"""Seldon Core 1.17 for tests, as far as its source says: its webhooks, its controller's Deployments, its executor.

No line is Seldon's. What is modelled, and the file of SeldonIO/seldon-core that says so:

- `add_defaults`: operator/apis/machinelearning.seldon.io/v1/defaults.go (DefaultSeldonDeployment);
- `find_problems`: …/v1/seldondeployment_webhook.go (ValidateSeldonDeployment);
- `build_deployments`: operator/controllers/seldondeployment_controller.go (createDeploymentWithoutEngine) and
  …/v1/seldondeployment_types.go (GetDeploymentName);
- `report`: …/v1/seldon_deployment_status.go, and createAddressableResource of the controller;
- `Executor`: executor/predictor/predictor_process.go (which node is called when, by which method).
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


def units(unit: Object) -> Iterator[Object]:
    """Yield a predictive unit and all below it."""
    yield unit
    for child in unit.get("children", []):
        yield from units(child)


def containers(predictor: Object) -> Iterator[Object]:
    """Yield the containers of a predictor."""
    for component in predictor.get("componentSpecs", []):
        yield from component["spec"]["containers"]


def add_defaults(resource: Object) -> Object:
    """Return a SeldonDeployment with what Seldon's defaulting webhook adds."""
    result = copy.deepcopy(resource)
    http: dict[str, int] = {}
    grpc: dict[str, int] = {}
    metrics = 6000
    for predictor in result["spec"]["predictors"]:
        predictor.setdefault("labels", {}).setdefault("version", predictor["name"])
        for unit in units(predictor["graph"]):
            if not {"type", "methods", "implementation"} & unit.keys():
                unit["type"] = "MODEL"
            unit.setdefault("implementation", "UNKNOWN_IMPLEMENTATION")
        for container in containers(predictor):
            name = container["name"]
            ports = [http.setdefault(name, 9000 + len(http)), grpc.setdefault(name, 9500 + len(grpc))]
            unit = next((each for each in units(predictor["graph"]) if each["name"] == name), None)
            if unit is None:
                continue
            known = {port.get("name"): port["containerPort"] for port in container.setdefault("ports", [])}
            if "metrics" not in known:
                container["ports"].append({"name": "metrics", "containerPort": metrics, "protocol": "TCP"})
                metrics += 1
            mounts = container.setdefault("volumeMounts", [])
            if "seldon-podinfo" not in [mount["name"] for mount in mounts]:
                mounts.append({"name": "seldon-podinfo", "mountPath": "/etc/podinfo"})
            found = {"httpPort": known.get("http", ports[0]), "grpcPort": known.get("grpc", ports[1])}
            unit.setdefault("endpoint", {}).update(service_host="localhost", service_port=found["httpPort"], **found)
    return result


def find_problems(resource: Object) -> list[str]:
    """Return why Seldon's validating webhook would reject a SeldonDeployment."""
    problems, predictors = [], resource["spec"]["predictors"]
    for predictor in predictors:
        known = {container["name"] for container in containers(predictor)}
        for unit in units(predictor["graph"]):
            if unit.get("implementation", "UNKNOWN_IMPLEMENTATION") == "UNKNOWN_IMPLEMENTATION" and (
                unit["name"] not in known
            ):
                problems.append(f"can't find container for predictive unit {unit['name']}")
    shadows = [predictor for predictor in predictors if predictor.get("shadow")]
    if len(shadows) > 1:
        problems.append("multiple shadows")
    if len(predictors) == len(shadows):
        problems.append("a shadow as the only predictor")
    shares = [predictor.get("traffic", 0) for predictor in predictors if not predictor.get("shadow")]
    if sum(shares) != 100 and len(shares) > 1:
        problems.append("traffic must sum to 100")
    if len({predictor["name"] for predictor in predictors}) < len(predictors):
        problems.append("duplicate predictor name")
    kinds = {unit.get("endpoint", {}).get("type") for each in predictors for unit in units(each["graph"])} - {None, ""}
    if len(kinds) > 1 or (kinds and resource["spec"].get("transport")):
        problems.append("multiple endpoint types")
    return problems


def deployment_name(resource: Object, predictor: Object) -> str:
    """Return the name of the Deployment of a predictor's first componentSpec."""
    (component,) = predictor["componentSpecs"]
    named = component.get("metadata", {}).get("name")
    end = named or "-".join(container["name"] for container in component["spec"]["containers"])
    name = f"{resource['metadata']['name']}-{predictor['name']}-0-{end}"
    assert len(name) <= 63, f"{name} would become a hash"
    return name


def build_deployments(resource: Object) -> list[Object]:
    """Return the Deployments that Seldon's controller makes of a SeldonDeployment."""
    meta, found = resource["metadata"], []
    owner = {"apiVersion": resource["apiVersion"], "kind": resource["kind"], "name": meta["name"], "uid": meta["uid"],
             "controller": True, "blockOwnerDeletion": True}  # fmt: skip
    for predictor in resource["spec"]["predictors"]:
        name = deployment_name(resource, predictor)
        (component,) = predictor["componentSpecs"]
        labels = {"seldon-deployment-id": meta["name"], "app": name}
        pods = labels | predictor["labels"] | component["metadata"].get("labels", {})
        notes = predictor["annotations"] | component["metadata"].get("annotations", {})
        spec = copy.deepcopy(component["spec"])
        spec["volumes"] = [*spec.get("volumes", []), {"name": "seldon-podinfo", "downwardAPI": {"items": []}}]
        found.append({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": meta["namespace"], "labels": labels | predictor["labels"],
                         "ownerReferences": [owner]},
            "spec": {
                "replicas": predictor["replicas"], "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": pods, "annotations": notes}, "spec": spec},
            },
        })  # fmt: skip
    return found


def report(resource: Object, ready: dict[str, int], state: str = "", description: str = "") -> Object:
    """Return the status that Seldon's controller writes with so many available pods of each predictor."""
    predictors, meta = resource["spec"]["predictors"], resource["metadata"]
    known = {
        deployment_name(resource, each): {
            "replicas": each["replicas"], "availableReplicas": ready.get(each["name"], 0),
        }
        for each in predictors
    }  # fmt: skip
    complete = all(ready.get(each["name"], 0) >= each["replicas"] > 0 for each in predictors)
    service = f"{meta['name']}-{predictors[0]['name']}.{meta['namespace']}.svc.cluster.local:8000"
    return {
        "state": state or ("Available" if complete else "Creating"),
        "description": description,
        "replicas": next(iter(known.values()))["replicas"],
        "deploymentStatus": known,
        "address": {"url": f"http://{service}/api/v1.0/predictions"},
    }


@dataclass
class Executor:
    """Runs the graph of a defaulted predictor: `send` posts a document to a port and path, and returns the answer's."""

    predictor: Object
    send: Callable[[int, str, Object], Object]

    def predict(self, message: Object) -> Object:
        """Return the graph's answer."""
        return self._predict(self.predictor["graph"], message)

    def send_feedback(self, feedback: Object) -> None:
        """Pass feedback on to the nodes that take it."""
        self._feedback(self.predictor["graph"], feedback)

    def _call(self, unit: Object, path: str, message: Object) -> Object:
        return self.send(unit["endpoint"]["httpPort"], path, message)

    def _predict(self, unit: Object, message: Object) -> Object:
        if unit["type"] in ("MODEL", "TRANSFORMER"):
            path = "/predict" if unit["type"] == "MODEL" else "/transform-input"
            message = self._call(unit, path, message)
        if children := unit.get("children"):
            chosen = self._route(unit, message)
            if chosen == -2:
                return message
            answers = [self._predict(child, message) for child in (children if chosen == -1 else [children[chosen]])]
            message = answers[0]
            if unit["type"] == "COMBINER":
                message = self._call(unit, "/aggregate", {"seldonMessages": answers})
        return self._call(unit, "/transform-output", message) if unit["type"] == "OUTPUT_TRANSFORMER" else message

    def _route(self, unit: Object, message: Object) -> int:
        if unit["type"] != "ROUTER":
            return -1
        data = self._call(unit, "/route", message)["data"]
        value = data["ndarray"][0] if "ndarray" in data else data["tensor"]["values"][0]
        return int(value[0] if isinstance(value, list) else value)

    def _feedback(self, unit: Object, feedback: Object) -> None:
        chosen = feedback.get("response", {}).get("meta", {}).get("routing", {}).get(unit["name"], -1)
        children = unit.get("children", [])
        for child in children if chosen == -1 else [children[chosen]]:
            self._feedback(child, feedback)
        if unit["type"] in ("MODEL", "ROUTER"):
            self._call(unit, "/send-feedback", feedback)
