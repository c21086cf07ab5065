"""An in-memory cluster with Seldon Core: it applies plans, and Seldon's controller replaces pods one by one."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core import names
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.model_deployment.artifacts import label_nodes
from fairlead.core.model_deployment.observed import Artifacts, NodeArtifact, ObservedDeployment, ObservedSeldon
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.plan import Deletion
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView
from fairlead.kube.views import view_child, view_seldon

from tests.support.resources import DIGEST, Object
from tests.support.seldon import add_defaults, deployment_name, find_problems, report

_RESOURCE = "SeldonDeployment"


class Killed(Exception):
    """The operator was killed before a write."""


@dataclass
class Pod:
    """A pod of a predictor."""

    content: str
    config: str
    """The ConfigMap that it mounts; empty if it has no graph server."""
    ready: bool = False


@dataclass
class SeldonCluster:
    """Holds a deployment, its children, and the pods of Seldon's Deployments."""

    deployment: ModelDeployment
    random: random.Random
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    installed: bool = True
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    """By the Deployment's name."""
    targets: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    """The content, ConfigMap and replicas of each Deployment, as Seldon's controller last wrote it."""
    writes: int = 0
    kill_at: int | None = None
    """The number of the write before which the operator is killed."""

    @property
    def status(self) -> ModelDeploymentStatus:
        """Return the deployment's status."""
        return self.deployment.status

    @property
    def reason(self) -> str:
        """Return the reason of the condition Ready."""
        return next((each.reason for each in self.status.conditions if each.type == "Ready"), "")

    @property
    def ready(self) -> bool:
        """Return whether the condition Ready is True for the current spec."""
        current = self.status.observed_generation == self.deployment.metadata.generation
        return current and any(each.type == "Ready" and each.status == "True" for each in self.status.conditions)

    def edit(self, deployment: ModelDeployment) -> None:
        """Change the spec."""
        generation = self.deployment.metadata.generation + 1
        metadata = self.deployment.metadata.model_copy(update={"generation": generation})
        self.deployment = self.deployment.model_copy(update={"spec": deployment.spec, "metadata": metadata})

    def observe(self) -> ObservedDeployment:
        """Return what the operator sees."""
        nodes = tuple(
            NodeArtifact(name, node.model_uri, ArtifactFacts(node.model_uri, DIGEST))
            for name, node in label_nodes(self.deployment)
            if node.model_uri
        )

        def views(kind: str) -> tuple[ChildView, ...]:
            return tuple(view_child(child) for (known, _), child in sorted(self.children.items()) if known == kind)

        resources = tuple(view_seldon(child) for (kind, _), child in self.children.items() if kind == _RESOURCE)
        seldon = ObservedSeldon(resources, tuple(self._view_deployments()))
        return ObservedDeployment(
            config_maps=views("ConfigMap"), autoscalers=views("HorizontalPodAutoscaler"),
            budgets=views("PodDisruptionBudget"), artifacts=Artifacts(nodes),
            seldon=seldon if self.installed else ObservedSeldon(refusal="missing"),
        )  # fmt: skip

    def reconcile(self) -> None:
        """Observe, plan and execute; raises Killed."""
        plan = plan_model_deployment(self.deployment, self.observe(), Settings(), self.now, "ab" * 32)
        for deletion in plan.delete:
            self._write(lambda gone=deletion: self._delete(gone))
        for child in sorted(plan.apply, key=lambda each: each["kind"] == _RESOURCE):
            self._write(lambda desired=child: self._apply(desired))
        if plan.status != self.status:
            self._write(lambda: self._store(plan.status))

    def run(self, steps: int) -> None:
        """Reconcile and step; the operator is started again after it was killed."""
        for _ in range(steps):
            try:
                self.reconcile()
            except Killed:
                self.kill_at = None
            self.step()
            self.check()

    def step(self) -> None:
        """Let time pass: Seldon's controller acts, late and in its own order, and pods become ready."""
        self.now += timedelta(seconds=1)
        resource = self.children.get((_RESOURCE, self.deployment.metadata.name))
        actions = [self._write_deployments, self._move_pods, self._report]
        self.random.shuffle(actions)
        for act in actions:
            if resource and self.random.random() < 0.5:
                act(resource)

    def check(self) -> None:
        """Assert what holds at every moment."""
        for pods in self.pods.values():
            for pod in pods:
                assert not pod.config or ("ConfigMap", pod.config) in self.children, (
                    "pods keep the graphs that they started with"
                )
        if self.ready:
            resource = self.children[_RESOURCE, self.deployment.metadata.name]
            for predictor in resource["spec"]["predictors"]:
                self._check_ready(deployment_name(resource, predictor), predictor)

    def _check_ready(self, name: str, predictor: Object) -> None:
        content = predictor["annotations"][names.SELDON_CONTENT]
        pods = self.pods.get(name, [])
        assert all(pod.content == content for pod in pods), "Ready is said of the current spec"
        assert len(pods) == predictor["replicas"]

    def _write(self, write: Any) -> None:
        if self.kill_at is not None and self.writes >= self.kill_at:
            raise Killed
        self.writes += 1
        write()

    def _delete(self, deletion: Deletion) -> None:
        del self.children[deletion.kind, deletion.name]

    def _apply(self, child: Object) -> None:
        key = child["kind"], child["metadata"]["name"]
        before = self.children.get(key, {"metadata": {"generation": 0}})
        after = add_defaults(child) if child["kind"] == _RESOURCE else copy.deepcopy(child)
        assert child["kind"] != _RESOURCE or not find_problems(after)
        generation = before["metadata"]["generation"] + (before.get("spec") != after.get("spec"))
        after["metadata"] |= {"uid": f"uid-{key[1]}", "generation": generation}
        self.children[key] = after | ({"status": before["status"]} if "status" in before else {})

    def _store(self, status: Any) -> None:
        self.deployment = self.deployment.model_copy(update={"status": status})

    def _write_deployments(self, resource: Object) -> None:
        """Let Seldon's controller write its Deployments, and delete those of predictors that are gone."""
        self.targets = {}
        for predictor in resource["spec"]["predictors"]:
            (component,) = predictor["componentSpecs"]
            volumes = component["spec"].get("volumes", [])
            config = next((each["configMap"]["name"] for each in volumes if "configMap" in each), "")
            content = predictor["annotations"][names.SELDON_CONTENT]
            self.targets[deployment_name(resource, predictor)] = content, config, predictor["replicas"]
        self.pods = {name: self.pods.get(name, []) for name in self.targets}

    def _move_pods(self, _: Object) -> None:
        for name, (content, config, replicas) in self.targets.items():
            pods = self.pods[name]
            new = [pod for pod in pods if pod.content == content]
            if waiting := [pod for pod in new if not pod.ready]:
                waiting[0].ready = True
            elif len(new) < replicas:
                pods.append(Pod(content, config))
            elif len(pods) > replicas:
                pods.remove(next((pod for pod in pods if pod.content != content), pods[0]))

    def _report(self, resource: Object) -> None:
        """Let it report what it sees; its status does not say which spec it is about."""
        ready = {
            each["name"]: sum(pod.ready for pod in self.pods.get(deployment_name(resource, each), []))
            for each in resource["spec"]["predictors"]
        }
        resource["status"] = report(resource, ready)

    def _view_deployments(self) -> Iterator[ChildView]:
        for name, (content, _, replicas) in self.targets.items():
            pods = self.pods[name]
            settled = len(pods) == replicas and all(pod.content == content for pod in pods)
            yield ChildView(name, f"uid-{name}", settled=settled, content=content)
