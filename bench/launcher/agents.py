"""Simulated agents: they register and send heartbeats as `fairlead_trainer` does, without processes to train in."""

import asyncio
import json
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from fairlead_trainer.channel import Sender

_PROGRESS = {"step": 40, "totalSteps": 200, "epoch": 1, "metrics": {"loss": 0.4, "evalAccuracy": 0.9}}


@dataclass
class Fleet:
    """All agents of one job, in one event loop."""

    host: str
    port: int
    key: bytes
    size: int
    interval: float
    """Seconds between two heartbeats of an agent."""
    answered: int = 0
    slowest: float = 0.0
    """The longest time of a heartbeat, in seconds."""
    _senders: list[Sender] = field(init=False)
    _kept: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._senders = [Sender(self.key) for _ in range(self.size)]

    async def register(self) -> None:
        """Register all agents and wait until the launcher lets them start."""
        await asyncio.gather(*(self._register(worker) for worker in range(self.size)))

    async def beat(self, seconds: float) -> None:
        """Send heartbeats for a time, spread evenly over the interval."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._beat(worker, end) for worker in range(self.size)))

    async def finish(self) -> None:
        """Report the success of all agents."""
        await asyncio.gather(*(self._post(worker, "/v1/finish", {"exitCodes": [0]}) for worker in range(self.size)))

    async def _register(self, worker: int) -> None:
        extra = {"slots": 1, "address": "127.0.0.1", "interface": "lo"}
        while (await self._post(worker, "/v1/register", extra))["state"] == "wait":  # noqa: ASYNC110
            await asyncio.sleep(self.interval)

    async def _beat(self, worker: int, end: float) -> None:
        await asyncio.sleep(random.random() * self.interval)
        while time.monotonic() < end:
            started = time.monotonic()
            await self._post(worker, "/v1/heartbeat", {"progress": _PROGRESS if worker == 0 else None})
            self.answered += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            await asyncio.sleep(self.interval)

    async def _post(self, worker: int, path: str, extra: dict[str, Any]) -> dict[str, Any]:
        message = {"worker": worker, "attempt": 0, "instance": f"agent-{worker}"} | extra
        body = json.dumps(message).encode()
        keep = path == "/v1/heartbeat"
        headers = self._senders[worker].sign("POST", path, body, time.time())
        lines = [f"POST {path} HTTP/1.1", f"Host: {self.host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Connection: {'keep-alive' if keep else 'close'}"]
        reader, writer = self._kept.get(worker) or await asyncio.open_connection(self.host, self.port)
        if keep:
            self._kept[worker] = reader, writer
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.split("\r\n") if line.startswith("Content-Length: "))
        content = await reader.readexactly(int(length.partition(": ")[2]))
        if not keep:
            self._kept.pop(worker, None)
            writer.close()
        if " 200 " not in head.partition("\r\n")[0]:
            raise RuntimeError(f"{path}: {head!r} {content!r}")
        answer: dict[str, Any] = json.loads(content)
        return answer


def new_key() -> str:
    """Return a job's key as hexadecimal digits."""
    return secrets.token_hex(32)
