"""Measurements: create jobs, count their pods as they appear, and observe the controller."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import POD, TRAINING_JOB, Kind
from fairlead_cluster.base.home import CHECKOUT

from bench.controllers.contenders import Contender, start
from bench.controllers.plane import Plane

PODS_PER_JOB = 3
_WARM_UP_SECONDS = 90.0
_LOG_CHARACTERS = 2000
_RUN_SECONDS = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Observer:
    """Counts the pods of each job by the prefix of their names."""

    seen: dict[str, list[float]] = field(default_factory=dict)

    def complete(self, prefix: str) -> dict[str, float]:
        """Return the monotonic time at which each job with a prefix had all its pods."""
        mine = {job: times for job, times in self.seen.items() if job.startswith(prefix)}
        return {job: times[-1] for job, times in mine.items() if len(times) >= PODS_PER_JOB}

    async def wait(self, prefix: str, jobs: int, seconds: float) -> dict[str, float]:
        """Wait until the jobs have all their pods and return the times; raises TimeoutError."""
        end = time.monotonic() + seconds
        while len(done := self.complete(prefix)) < jobs:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(done)} of {jobs} jobs {prefix}* have their pods after {seconds:.0f} s")
            await asyncio.sleep(0.02)
        return done

    async def watch(self, kube: KubeClient) -> None:
        """Follow all pods."""
        async for event, pod in kube.watch(POD):
            if event == "ADDED":
                job = "-".join(pod["metadata"]["name"].split("-")[:2])
                self.seen.setdefault(job, []).append(time.monotonic())


@dataclass(frozen=True)
class Bench:
    """A running contender on its own control plane."""

    plane: Plane
    kube: KubeClient
    observer: Observer
    contender: Contender
    process: "subprocess.Popen[bytes]"

    async def create(self, name: str) -> float:
        """Create a job; return the monotonic time."""
        job = self.contender.build(name)
        group, _, version = job["apiVersion"].partition("/")
        kind = Kind(group, version, f"{job['kind'].lower()}s", job["kind"])
        began = time.monotonic()
        await self.kube.create(kind, job, job["metadata"]["namespace"])
        return began

    async def create_many(self, prefix: str, count: int, at_once: int = 32) -> float:
        """Create many jobs; return the time of the first."""
        numbers = iter(range(count))
        began = time.monotonic()

        async def work() -> None:
            for number in numbers:
                await self.create(f"{prefix}-{number}")

        await asyncio.gather(*(work() for _ in range(at_once)))
        return began

    def cpu(self) -> float:
        """Return the controller's CPU seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self, key: str = "VmHWM") -> float:
        """Return the controller's resident memory in MiB: the peak, or with `VmRSS` the current value."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(key)) / 1024


@asynccontextmanager
async def at_work(plane: Plane, contender: Contender, phase: str = "Running") -> AsyncIterator[Bench]:
    """Start fake nodes and the contender; they have handled one job before the block begins.

    `phase` is the phase of all pods, Running or Succeeded.
    """
    with fake_nodes(plane, phase):
        async with KubeClient.from_kubeconfig(plane.kubectl.kubeconfig) as kube:
            observer = Observer()
            watching = asyncio.create_task(observer.watch(kube))
            process = start(contender, plane)
            try:
                bench = Bench(plane, kube, observer, contender, process)
                await bench.create("warm-0")
                await observer.wait("warm", 1, _WARM_UP_SECONDS)
                await asyncio.sleep(2)
                yield bench
            except TimeoutError as error:
                log = (plane.folder / "controller.log").read_text()[-_LOG_CHARACTERS:]
                raise RuntimeError(f"{contender.name}: {error}; the end of its log:\n{log}") from None
            finally:
                process.kill()
                process.wait()
                watching.cancel()


@contextmanager
def fake_nodes(plane: Plane, phase: str = "Running") -> Iterator[None]:
    """Run the fake nodes during the block."""
    command = [sys.executable, "-m", "bench.controllers.fake_nodes", str(plane.kubectl.kubeconfig), phase]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("the fake nodes exited before watching")
            yield
        finally:
            process.kill()


async def measure_burst(bench: Bench, count: int) -> dict[str, float]:
    """Create jobs at once; return seconds to the last pod, and requests and CPU per job."""
    cpu, requests = bench.cpu(), bench.plane.requests()
    began = await bench.create_many("burst", count)
    done = await bench.observer.wait("burst", count, _RUN_SECONDS)
    await _settle(bench)
    made = bench.plane.requests() - requests
    return {
        "seconds": max(done.values()) - began,
        "reads": made["reads"] / count,
        "writes": made["writes"] / count,
        "cpu": (bench.cpu() - cpu) / count * 1000,
        "mib": bench.memory(),
    }


async def measure_trickle(bench: Bench, seconds: int) -> list[float]:
    """Create a job per second; return the milliseconds from each one's creation to its last pod."""
    created = {}
    for number in range(seconds):
        name = f"trickle-{number}"
        created[name] = await bench.create(name)
        await asyncio.sleep(max(0.0, created[name] + 1 - time.monotonic()))
    done = await bench.observer.wait("trickle", seconds, _RUN_SECONDS)
    return [(done[name] - began) * 1000 for name, began in created.items()]


async def measure_running(bench: Bench, count: int, seconds: float) -> dict[str, float]:
    """Return the operator's CPU usage, requests and memory with `count` running jobs."""
    await bench.create_many("burst", count)
    await _await_phase(bench, "Running", count)
    await _settle(bench)
    cpu, requests = bench.cpu(), bench.plane.requests()
    await asyncio.sleep(seconds)
    made = bench.plane.requests() - requests
    return {
        "core": (bench.cpu() - cpu) / seconds,
        "reads": made["reads"] / seconds,
        "writes": made["writes"] / seconds,
        "mib": bench.memory("VmRSS"),
    }


async def measure_finished(bench: Bench, count: int) -> dict[str, float]:
    """Return the operator's memory after `count` jobs have succeeded, whose pods still exist."""
    await bench.create_many("burst", count)
    await _await_phase(bench, "Succeeded", count)
    await _settle(bench)
    return {"mib": bench.memory("VmRSS"), "peak": bench.memory()}


async def _await_phase(bench: Bench, phase: str, count: int) -> None:
    """Wait until `count` jobs have a phase; an operator that waits for the API server looks idle before."""
    end = time.monotonic() + _RUN_SECONDS
    while True:
        jobs = await bench.kube.list(TRAINING_JOB)
        reached = sum(job.get("status", {}).get("phase") == phase for job in jobs)
        if reached >= count:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{reached} of {count} jobs are {phase} after {_RUN_SECONDS:.0f} s")
        await asyncio.sleep(2)


async def _settle(bench: Bench, seconds: float = 120.0) -> None:
    """Wait until the controller is idle, except for the progress of running jobs."""
    end = time.monotonic() + seconds
    before = bench.cpu()
    while time.monotonic() < end:
        await asyncio.sleep(2)
        if (now := bench.cpu()) - before < 1.0:
            return
        before = now
