"""Probes of a container: an HTTP GET, a TCP connection, or a command; and the thresholds that decide on the result."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Self

import aiohttp

from fairlead_cluster.local.node.objects import Object, named_port

Execute = Callable[[list[str], float], Awaitable[int]]
"""Runs a command in the container's environment within some seconds; returns its exit code."""

_UNREADY_PERIOD = 0.25


@dataclass(frozen=True)
class ProbeSpec:
    """A probe's timing, with Kubernetes' defaults."""

    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Object) -> Self:
        """Read a probe object."""
        return cls(
            initial_delay=probe.get("initialDelaySeconds") or 0,
            period=probe.get("periodSeconds") or 10,
            timeout=probe.get("timeoutSeconds") or 1,
            successes=probe.get("successThreshold") or 1,
            failures=probe.get("failureThreshold") or 3,
        )


@dataclass(frozen=True)
class Verdict:
    """The result of probing: `passing` changes only after enough equal results in a row. Pure."""

    passing: bool | None
    row: int = 0
    last: bool | None = None

    def after(self, success: bool, spec: ProbeSpec) -> "Verdict":
        """Return the verdict after one more result."""
        row = self.row + 1 if success == self.last else 1
        enough = spec.successes if success else spec.failures
        return Verdict(success if row >= enough else self.passing, row, success)


async def verdicts(
    spec: ProbeSpec, check: Callable[[], Awaitable[str | None]], *, quick: bool
) -> AsyncIterator[tuple[Verdict, str | None]]:
    """Probe indefinitely; yield the verdict after each result, and the failure's text.

    With `quick` a probe that does not pass yet is repeated at once rather than a period later, so that a pod is
    ready when it is; Kubernetes allows that for readiness only.
    """
    verdict = Verdict(None)
    await asyncio.sleep(spec.initial_delay)
    while True:
        try:
            failure = await asyncio.wait_for(check(), spec.timeout)
        except TimeoutError:
            failure = f"no response within {spec.timeout:g} s"
        verdict = verdict.after(failure is None, spec)
        yield verdict, failure
        await asyncio.sleep(min(spec.period, _UNREADY_PERIOD) if quick and not verdict.passing else spec.period)


async def check_probe(probe: Object, container: Object, address: str, execute: Execute) -> str | None:
    """Probe once; return None for success, else the failure."""
    if action := probe.get("exec"):
        code = await execute(action["command"], float(probe.get("timeoutSeconds") or 1))
        return None if code == 0 else f"command exited {code}"
    if action := probe.get("httpGet"):
        return await check_http(action, container, address)
    return await _check_tcp(probe["tcpSocket"], container, address)


async def check_http(action: Object, container: Object, address: str) -> str | None:
    """Send a GET; any status from 200 to 399 is a success. Certificates are not verified, as by a kubelet."""
    port = named_port([container], action["port"])
    scheme = action.get("scheme", "HTTP").lower()
    url = f"{scheme}://{action.get('host') or address}:{port}{action.get('path') or '/'}"
    headers = {item["name"]: item["value"] for item in action.get("httpHeaders") or []}
    headers.setdefault("User-Agent", "kube-probe/fairlead")
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, ssl=_unverified(), allow_redirects=False) as response,
        ):
            return None if 200 <= response.status < 400 else f"GET {url}: status {response.status}"
    except (aiohttp.ClientError, OSError) as error:
        return f"GET {url}: {error}"


async def _check_tcp(action: Object, container: Object, address: str) -> str | None:
    host, port = action.get("host") or address, named_port([container], action["port"])
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"connect to {host}:{port}: {error}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


@cache
def _unverified() -> ssl.SSLContext:
    """Return a context without certificates: loading the machine's takes longer than a probe."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
