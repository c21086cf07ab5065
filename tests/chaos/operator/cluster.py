"""The control plane, simulated nodes, proxy and operator of a campaign."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from fairlead.core import names
from fairlead.kube.client import KubeClient
from fairlead.kube.config import load_config
from fairlead.kube.kinds import LEASE, MODEL_DEPLOYMENT, NAMESPACE, SERVICE, TRAINING_JOB

from tests.chaos.operator.end_state import read_end_state
from tests.chaos.operator.faults import Fault
from tests.chaos.operator.history import History
from tests.chaos.operator.kubelet import Kubelet
from tests.chaos.operator.lives import publish_models
from tests.chaos.operator.processes import Forks, OperatorProcess
from tests.chaos.operator.proxy import FaultProxy, Injection
from tests.chaos.operator.stage import Life, Stage, Unfinished
from tests.support.api_server import OPERATOR_NAMESPACE, Kubectl, operator_kubeconfig, started_api_server
from tests.support.launchers import SimulatedLaunchers, serving_launchers

Object = dict[str, Any]
TERMINAL = ("Succeeded", "Failed")


@dataclass
class Outcome:
    """How one disturbed life ended."""

    life: str
    fault: Fault
    seconds: float
    end: Object
    problem: str = ""
    writes: list[str] = field(default_factory=list)
    events: int = 0
    hits: int = 0


class Campaign:
    """Runs lives with faults, each in a namespace of its own."""

    def __init__(
        self,
        kube: KubeClient,
        kubelet: Kubelet,
        proxy: FaultProxy,
        operator: OperatorProcess,
        spare: OperatorProcess,
        models: Path,
    ) -> None:
        self.kube, self.kubelet, self.proxy = kube, kubelet, proxy
        self.operator, self.spare = operator, spare
        self._models = models
        self._count = self._addresses = 0
        self._statuses: dict[str, list[Object]] = {}
        self._histories: dict[str, History] = {}

    async def open_stage(self, life: Life, fault: Fault, launcher: SimulatedLaunchers | None = None) -> Stage:
        """Create a namespace for one life with one fault; `launcher` is the one of this life alone, if it has one."""
        self._count += 1
        namespace = f"{life.name.replace(' ', '-')}-{self._count}"
        await self._create_namespace(namespace)
        script = life.script()
        if launcher is not None:
            script.address = launcher.address
        self.kubelet.scripts[namespace] = script
        injection = Injection(fault, self.operator.restart, armed=not life.prepares)
        self.proxy.injections[namespace] = injection
        return Stage(self.kube, namespace, script, self._models, self.kubelet, launcher, injection.arm)

    async def run(self, life: Life, fault: Fault) -> Outcome:
        """Run one life with one fault."""
        self._addresses += 1
        address = f"127.201.{self._addresses // 250}.{2 + self._addresses % 250}"
        with serving_launchers(address) if life.reports else nullcontext() as launcher:
            return await self._run(life, fault, await self.open_stage(life, fault, launcher))

    async def _run(self, life: Life, fault: Fault, stage: Stage) -> Outcome:
        injection = self.proxy.injections[stage.namespace]
        began, problem = time.monotonic(), ""
        try:
            await life.run(stage)
        except Unfinished as error:
            problem = str(error)
        end = await self._settle(stage, life)
        problem = problem or self.find_reversal(stage.namespace) or self.find_problem(stage.namespace)
        seconds = time.monotonic() - began
        outcome = Outcome(life.name, fault, seconds, end, problem, injection.writes, injection.events, injection.hits)
        await self.kube.delete(NAMESPACE, stage.namespace)
        return outcome

    async def watch_statuses(self) -> None:
        """Record every status of every job, to see verdicts that are taken back."""
        async for event, job in self.kube.watch(TRAINING_JOB):
            if event != "DELETED" and "status" in job:
                self._statuses.setdefault(job["metadata"]["namespace"], []).append(job["status"])

    async def watch_deployments(self) -> None:
        """Record every status of every deployment."""
        async for event, deployment in self.kube.watch(MODEL_DEPLOYMENT):
            if event != "DELETED" and "status" in deployment:
                self._find_history(deployment).statuses.append(deployment["status"])

    async def watch_selectors(self) -> None:
        """Record what the Service of every deployment selects."""
        async for event, service in self.kube.watch(SERVICE):
            meta = service["metadata"]
            if event != "DELETED" and meta["name"] == meta.get("labels", {}).get(names.DEPLOYMENT):
                self._find_history(service).selectors.append(service["spec"]["selector"].get(names.REVISION))

    def _find_history(self, obj: Object) -> History:
        return self._histories.setdefault(obj["metadata"]["namespace"], History())

    def find_problem(self, namespace: str) -> str:
        """Return what happened to a namespace's deployment, or its clients, that must not; empty if nothing did."""
        graphs = self.kubelet.graphs
        history = self._histories.get(namespace, History())
        return history.find_problem(graphs.accepted.get(namespace, [])) or "; ".join(graphs.problems.get(namespace, ()))

    def find_reversal(self, namespace: str) -> str:
        """Return which verdict of a namespace's job was taken back; empty if none was."""
        verdict = None
        for status in self._statuses.get(namespace, []):
            seen = (status.get("phase"), status.get("completionTime"))
            if verdict and seen != verdict:
                return f"the verdict {verdict[0]} was taken back: {seen[0]}"
            verdict = seen if seen[0] in TERMINAL else verdict
        return ""

    async def _settle(self, stage: Stage, life: Life) -> Object:
        """Return the end state once it has not changed for a while."""
        end, since = await read_end_state(stage, life.kind), time.monotonic()
        started = since
        quiet = 4.0 if self.proxy.injections[stage.namespace].fault.kind == "late" else 1.0
        while time.monotonic() - since < quiet and time.monotonic() - started < 30:
            await asyncio.sleep(0.2)
            now = await read_end_state(stage, life.kind)
            if now != end:
                end, since = now, time.monotonic()
        return end

    async def _create_namespace(self, name: str) -> None:
        await self.kube.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        for _ in range(100):
            async with self.kube.open("GET", account) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)
        raise Unfinished(f"namespace {name} has no service account")


def proxied_kubeconfig(kubectl: Kubectl, folder: Path, port: int) -> Path:
    """Write a kubeconfig of the operator's account that leads through the proxy."""
    config = yaml.safe_load(operator_kubeconfig(kubectl, folder).read_text())
    config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
    path = folder / "proxied.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def started_campaign(folder: Path) -> AsyncIterator[Campaign]:
    """Start a control plane, simulated nodes, a proxy and an operator behind it."""
    models = folder / "models"
    publish_models(models)
    with started_api_server(folder / "plane") as kubectl, Forks() as forks:
        config = load_config(kubectl.kubeconfig)
        async with KubeClient(config) as kube, FaultProxy(config) as proxy:
            kubelet = Kubelet(kube)
            kubelet.graphs.disturb = proxy.disturb
            kubeconfig = proxied_kubeconfig(kubectl, folder, proxy.port)
            operator = OperatorProcess(forks, kubeconfig, folder / "operator.log", "first")
            spare = OperatorProcess(forks, folder / "operator.kubeconfig", folder / "spare.log", "spare")
            campaign = Campaign(kube, kubelet, proxy, operator, spare, models)
            operator.start()
            try:
                # a task that fails ends the campaign
                async with asyncio.TaskGroup() as group:
                    watches = (campaign.watch_statuses(), campaign.watch_deployments(), campaign.watch_selectors())
                    tasks = [group.create_task(task) for task in (kubelet.run(), operator.supervise(), *watches)]
                    await wait_for_leader(kube, operator.identity)
                    operator.supervised = True
                    yield campaign
                    for task in tasks:
                        task.cancel()
            finally:
                operator.kill()


async def wait_for_leader(kube: KubeClient, identity: str, seconds: float = 60) -> None:
    """Wait until an operator holds the lease; raises Unfinished."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        leases = await kube.list(LEASE, OPERATOR_NAMESPACE)
        if any(lease["spec"].get("holderIdentity") == identity for lease in leases):
            return
        await asyncio.sleep(0.2)
    raise Unfinished(f"{identity} does not lead after {seconds:.0f} s")
