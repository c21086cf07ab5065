"""What graph servers have counted of their models' inputs and outputs, read beside the queue's workers.

The reading is bounded in time, size and number, as everything that is asked of tenants' pods. The counts need no key:
whoever reaches the server can read them, too, and docs/guides/monitoring.md says what they show of others' requests.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import aiohttp
from fairlead_contracts.monitor import PATH, MonitorFacts

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.monitor import Drift
from fairlead.core import names
from fairlead.core.model_deployment.drift import DriftMeasures, measure_drift, poll_seconds
from fairlead.core.model_deployment.drift_facts import DriftSum, Models
from fairlead.core.model_deployment.revisions import read_revisions
from fairlead.core.views import PodView, RevisionView
from fairlead.kube.inquiries import Inquiries, Question
from fairlead.kube.kinds import Key
from fairlead.kube.reports import get_bounded, url_host

_log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_READ_SECONDS = 30.0
"""How long all servers of a deployment may take."""
_MAX_SERVERS, _MAX_CONCURRENT = 32, 4
"""How many servers of a deployment are read: they get the same requests, and each report costs some milliseconds."""
_FRESH = 0.9
"""How old an answer may be, as a share of the interval in which servers are asked."""


class MonitoredServers:
    """Asks the servers of deployments that are monitored. `answered` is called when a deployment's have answered."""

    def __init__(
        self, http: aiohttp.ClientSession, answered: Callable[[Key], None], port: int = names.SERVING_PORT
    ) -> None:
        self._http, self._port = http, port
        self._readings = Inquiries(answered, _READ_SECONDS, per_namespace=4, source="the graph servers")

    def observe(
        self, key: Key, deployment: ModelDeployment, pods: tuple[PodView, ...], revisions: tuple[RevisionView, ...] = ()
    ) -> DriftMeasures | None:
        """Return what the servers that answer clients' requests have last said, and ask them again if that is old."""
        if deployment.spec.monitor is None:
            self.forget(key)
            return None
        policy, servers = deployment.spec.monitor.drift, _list_servers(deployment, pods)
        models = _list_models(deployment, revisions)
        question = Question(
            (policy, servers, models),
            partial(self._read_all, policy, servers, models),
            lambda problem: DriftMeasures(datetime.now(UTC), len(servers), problem=problem),
        )
        return self._readings.latest(key, question, poll_seconds(policy) * _FRESH, outdated=True)

    def forget(self, key: Key) -> None:
        """Drop what is known about a deployment."""
        self._readings.forget(key)

    async def _read_all(self, policy: Drift, servers: tuple[tuple[str, str], ...], models: Models) -> DriftMeasures:
        places, adding = asyncio.Semaphore(_MAX_CONCURRENT), asyncio.Lock()
        total, answered, problem = DriftSum(models), 0, ""

        async def read(address: str) -> None:
            nonlocal answered, problem
            url = f"http://{url_host(address)}:{self._port}{PATH}"
            async with places:
                try:
                    content = await get_bounded(self._http, url, _TIMEOUT, MonitorFacts.max_bytes)
                    async with adding:
                        await asyncio.to_thread(_add, total, content)
                    answered += 1
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    _log.debug("%s: %s", url, error)
                    problem = f"A server does not say what it has counted: {type(error).__name__}: {error}"[:256]

        await asyncio.gather(*(read(address) for _, address in servers))
        reading = DriftMeasures(datetime.now(UTC), len(servers), answered, problem)
        return await asyncio.to_thread(_measure, policy, total, reading)


def _add(total: DriftSum, content: bytes) -> None:
    """Add what a server has sent. This call, and the next, block: beside the event loop, they delay nobody else."""
    total.add(MonitorFacts.parse_json(content, PATH))


def _measure(policy: Drift, total: DriftSum, reading: DriftMeasures) -> DriftMeasures:
    return measure_drift(policy, total.merge(), reading)


def _list_models(deployment: ModelDeployment, revisions: tuple[RevisionView, ...]) -> Models:
    """Return the models that the stable revision has, or else the predictors with traffic."""
    stable = deployment.status.stable_revision
    name = names.revision_name(deployment, stable) if stable else None
    known = read_revisions(view for view in revisions if view.name == name)
    predictors = [revision.predictor for revision in known.values()] or deployment.spec.live
    return {
        predictor.name: frozenset(
            node.name for node in predictor.graph.walk() if node.model_uri and node.role == "MODEL"
        )
        for predictor in predictors
    }


def _list_servers(deployment: ModelDeployment, pods: tuple[PodView, ...]) -> tuple[tuple[str, str], ...]:
    """Return the uid and address of some ready servers: those of the stable revision, or of predictors with traffic."""
    stable = deployment.status.stable_revision
    desired = {stable} if stable else {predictor.name for predictor in deployment.spec.live}
    ready = (pod for pod in pods if pod.ip and pod.ready and not pod.deleting and pod.server in desired)
    return tuple(sorted((pod.uid, pod.ip or "") for pod in ready)[:_MAX_SERVERS])
