"""Where models run that may run on GPUs: asked of their servers, beside the queue's workers.

Only servers whose predictor asks for a GPU are asked. The reading is bounded in time, size and number, as everything
that is asked of tenants' pods.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import aiohttp
from fairlead_contracts.devices import PATH, DeviceFacts

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.model_deployment.accelerated import DeviceMeasures, measure_devices, poll_seconds
from fairlead.core.model_deployment.gpus import requests_gpu
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
"""How many servers of a deployment are asked, and at a time."""
_FRESH = 0.9
"""How old an answer may be, as a share of the interval in which servers are asked."""


class GpuServers:
    """Asks servers that have GPUs. `answered` is called when those of a deployment have answered."""

    def __init__(
        self, http: aiohttp.ClientSession, answered: Callable[[Key], None], port: int = names.SERVING_PORT
    ) -> None:
        self._http, self._port = http, port
        self._readings = Inquiries(answered, _READ_SECONDS, per_namespace=4, source="the graph servers")

    def observe(
        self, key: Key, deployment: ModelDeployment, pods: tuple[PodView, ...], revisions: tuple[RevisionView, ...] = ()
    ) -> DeviceMeasures | None:
        """Return what the ready servers have last said, and ask them again if that is old."""
        if deployment.spec.engine != "Native" or not any(map(requests_gpu, deployment.spec.predictors)):
            self.forget(key)
            return None
        servers = _list_servers(deployment, pods, revisions)
        question = Question(
            servers, partial(self._read_all, servers), lambda problem: DeviceMeasures(len(servers), problem=problem)
        )
        found = self._readings.latest(key, question, poll_seconds(None) * _FRESH, outdated=True)
        if found is not None and not found.complete:
            self._readings.latest(key, question, poll_seconds(found) * _FRESH, outdated=True)
        return found

    def forget(self, key: Key) -> None:
        """Drop what is known about a deployment."""
        self._readings.forget(key)

    async def _read_all(self, servers: tuple[tuple[str, str], ...]) -> DeviceMeasures:
        places = asyncio.Semaphore(_MAX_CONCURRENT)
        found: list[DeviceFacts] = []
        problem = ""

        async def read(address: str) -> None:
            nonlocal problem
            url = f"http://{url_host(address)}:{self._port}{PATH}"
            async with places:
                try:
                    content = await get_bounded(self._http, url, _TIMEOUT, DeviceFacts.max_bytes)
                    found.append(DeviceFacts.parse_json(content, PATH))
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    _log.debug("%s: %s", url, error)
                    problem = f"A server does not say where its models run: {type(error).__name__}: {error}"[:256]

        await asyncio.gather(*(read(address) for _, address in servers))
        return measure_devices(len(servers), found, problem)


def _list_servers(
    deployment: ModelDeployment, pods: tuple[PodView, ...], revisions: tuple[RevisionView, ...]
) -> tuple[tuple[str, str], ...]:
    """Return the uid and address of ready servers whose predictor, or revision, asks for a GPU."""
    asking = {predictor.name for predictor in deployment.spec.predictors if requests_gpu(predictor)}
    asking |= {name for name, revision in read_revisions(revisions).items() if requests_gpu(revision.predictor)}
    ready = (pod for pod in pods if pod.ip and pod.ready and not pod.deleting and pod.server in asking)
    return tuple(sorted((pod.uid, pod.ip or "") for pod in ready)[:_MAX_SERVERS])
