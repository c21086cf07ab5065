"""What graph servers that split their requests do: read from each, and set again where it differs.

Runs beside the queue's workers, bounded in time, size and number per namespace, as everything that is asked of tenants'
pods. What they are to do follows from the stored status alone, and its generation rises with each change, so that a
server rejects what an operator that no longer leads may still send.
"""

import asyncio
import base64
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import aiohttp
from fairlead_contracts.traffic import PATH, SIGNATURE, TrafficDocument, TrafficFacts, sign

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.model_deployment.observed import ObservedTraffic, ServerReading
from fairlead.core.model_deployment.traffic import BUSY_SECONDS, build_documents, count_in_force, poll_seconds
from fairlead.core.model_deployment.traffic_children import KEY
from fairlead.core.views import PodView
from fairlead.kube.children import controller_of
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.inquiries import Inquiries, Question
from fairlead.kube.kinds import SECRET, Key
from fairlead.kube.reports import get_bounded, url_host

_log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=2)
_READ_SECONDS = 30.0
"""How long all servers of a deployment may take."""
_MAX_CONCURRENT = 16
"""Servers of a deployment that are asked at a time."""
_DENIED = (401, 403)
_KEY_SECONDS = 60.0
"""How long a key is used before its Secret is read again: a pod that starts without the Secret would wait for ever."""


@dataclass(frozen=True)
class _Server:
    pod: str
    address: str
    document: TrafficDocument
    """What it is to do."""


class _KeyMissing(Exception):
    """The Secret with the key does not exist, or is not ours."""


class TrafficServers:
    """Asks the servers of deployments that split requests. `answered` is called when a deployment's have answered."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        kube: KubeClient,
        answered: Callable[[Key], None],
        port: int = names.SERVING_PORT,
        key_seconds: float = _KEY_SECONDS,
    ) -> None:
        self._http, self._kube, self._port, self._key_seconds = http, kube, port, key_seconds
        self._readings = Inquiries(answered, _READ_SECONDS, per_namespace=16, source="the graph servers")
        self._keys: dict[Key, tuple[str, bytes, float]] = {}
        """The uid and the key of each deployment, and when its Secret was read."""

    def observe(self, key: Key, deployment: ModelDeployment, pods: tuple[PodView, ...]) -> ObservedTraffic:
        """Return what the ready servers have last said that have to know, and ask them again if that is old."""
        documents = build_documents(deployment)
        if not documents:
            self.forget(key)
            return ObservedTraffic()
        servers = tuple(
            _Server(pod.uid, pod.ip, documents[pod.server])
            for pod in pods
            if pod.ip and pod.ready and not pod.deleting and pod.server in documents
        )
        question = Question(
            (documents, servers),
            partial(self._read_all, deployment, servers),
            lambda problem: ObservedTraffic(tuple(ServerReading(server.pod, error=problem) for server in servers)),
        )
        seconds = poll_seconds(deployment)
        found = self._readings.latest(key, question, seconds, outdated=True) or ObservedTraffic()
        if count_in_force(deployment.status, found.servers) < len(servers):
            self._readings.latest(key, question, min(seconds, BUSY_SECONDS), outdated=True)
        return found

    def forget(self, key: Key) -> None:
        """Drop what is known about a deployment."""
        self._readings.forget(key)
        self._keys.pop(key, None)

    async def _read_all(self, deployment: ModelDeployment, servers: tuple[_Server, ...]) -> ObservedTraffic:
        places = asyncio.Semaphore(_MAX_CONCURRENT)

        async def read(server: _Server) -> ServerReading:
            async with places:
                return await self._read(deployment, server)

        try:
            # also if no server has to be sent anything: pods that start need the Secret
            with contextlib.suppress(aiohttp.ClientError, ApiError, TimeoutError, ValueError):
                await self._read_key(deployment)
            return ObservedTraffic(tuple(await asyncio.gather(*map(read, servers))))
        except _KeyMissing:
            return ObservedTraffic(key_missing=True)

    async def _read(self, deployment: ModelDeployment, server: _Server) -> ServerReading:
        url, document = f"http://{url_host(server.address)}:{self._port}{PATH}", server.document
        try:
            facts = await self._get(url)
            if facts.revision != document.revision:
                return ServerReading(server.pod, error=f"serves {facts.revision!r}, expected {document.revision!r}")
            if (facts.generation, facts.window) != (document.generation, document.window):
                await self._put(deployment, document, url)
                facts = await self._get(url)
            return ServerReading(server.pod, facts)
        except (aiohttp.ClientError, ApiError, TimeoutError, ValueError) as error:
            _log.debug("%s/%s: %s: %s", deployment.metadata.namespace, deployment.metadata.name, url, error)
            return ServerReading(server.pod, error=f"{type(error).__name__}: {error}"[:256])

    async def _get(self, url: str) -> TrafficFacts:
        return TrafficFacts.parse_json(await get_bounded(self._http, url, _TIMEOUT, TrafficFacts.max_bytes), PATH)

    async def _put(self, deployment: ModelDeployment, document: TrafficDocument, url: str) -> None:
        """Send a server its document; raises ValueError if it is rejected. A key that is not accepted is read again."""
        body = document.model_dump_json().encode()
        for _ in range(2):
            if not self._kube.may_write():
                raise ValueError("not sent, because the lease has expired")
            signature = sign(await self._read_key(deployment), body)
            headers = {SIGNATURE: signature, "Content-Type": "application/json"}
            async with self._http.put(
                url, data=body, timeout=_TIMEOUT, allow_redirects=False, headers=headers
            ) as response:
                status = response.status
            if status not in _DENIED:
                break
            self._keys.pop(_key_of(deployment), None)
        if status >= 300:
            raise ValueError(f"got status {status} for generation {document.generation}, expected success")

    async def _read_key(self, deployment: ModelDeployment) -> bytes:
        """Return the key, which is read once a minute. A Secret of another owner is none."""
        meta, now = deployment.metadata, time.monotonic()
        uid, known, read_at = self._keys.get(_key_of(deployment), ("", b"", 0.0))
        if uid == meta.uid and now - read_at < self._key_seconds:
            return known
        secret = await self._kube.find(SECRET, names.traffic_key_name(deployment), meta.namespace)
        if secret is None or controller_of(secret["metadata"]).get("uid") != meta.uid:
            raise _KeyMissing
        encoded = secret.get("data", {}).get(KEY, "")
        key = bytes.fromhex(base64.b64decode(encoded).decode("ascii", "replace").strip())
        self._keys[_key_of(deployment)] = (meta.uid, key, now)
        return key


def _key_of(deployment: ModelDeployment) -> Key:
    return Key(deployment.kind, deployment.metadata.namespace, deployment.metadata.name)
