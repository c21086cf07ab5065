"""The lifecycle of a container: prepare, start, probe, stop, restart."""

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator

import aiohttp
from fairlead.kube.errors import ApiError

from fairlead_cluster.local.node.backoff import count_failures, restart_delay, retry_delay
from fairlead_cluster.local.node.context import PodContext
from fairlead_cluster.local.node.environment import NotConfigured
from fairlead_cluster.local.node.execution import execute
from fairlead_cluster.local.node.hooks import run_pre_stop
from fairlead_cluster.local.node.images import ImageUnknown
from fairlead_cluster.local.node.launch import build_launch, make_termination_file, termination_file
from fairlead_cluster.local.node.objects import Object
from fairlead_cluster.local.node.probes import ProbeSpec, Verdict, check_probe, verdicts
from fairlead_cluster.local.node.process import Launch, Run
from fairlead_cluster.local.node.status import ContainerView


class Container:
    """Runs one container of a pod until it has terminated or is stopped."""

    def __init__(self, context: PodContext, spec: Object, *, restart_policy: str) -> None:
        """Resume a container in the state that its folder records: not started, running, or terminated."""
        self.spec = spec
        self._context = context
        self._restart_policy = restart_policy
        self._folder = context.container_folder(spec["name"])
        self._run = Run.latest(self._folder)
        self._state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self._last_state: Object = {}
        self._ready = self._started = False
        self._failures = 0
        self._stopping = asyncio.Event()
        self._grace_seconds = 0.0
        self._ended = asyncio.Event()
        self._killer: asyncio.Task[None] | None = None
        self._launch: Launch | None = None
        """What the running process was started with; None after a restart of the node."""

    @property
    def view(self) -> ContainerView:
        """Return the container as its status shows it."""
        uid = self._context.pod["metadata"]["uid"]
        return ContainerView(
            name=self.spec["name"],
            image=self.spec["image"],
            state=self._state,
            last_state=self._last_state,
            restarts=self._run.number,
            ready=self._ready,
            started=self._started,
            run_id=f"{uid}/{self.spec['name']}/{self._run.number}" if self._run.begun else "",
        )

    def wait_for(self, reason: str, message: str = "") -> None:
        """Show why the container does not run yet."""
        waiting = {"reason": reason} | ({"message": message} if message else {})
        if self._state.get("waiting") != waiting:
            self._set({"waiting": waiting})

    async def run(self) -> bool:
        """Run until it has terminated; return True if it succeeded."""
        while True:
            if not self._run.ended and not await self._run_process():
                return False
            state = self._run.terminated(termination_file(self._context, self.spec), self._message_policy)
            self._ready = self._started = False
            self._set({"terminated": state})
            if self._stopping.is_set() or not self._restarts(state["exitCode"]):
                return bool(state["exitCode"] == 0)
            self._failures = count_failures(self._failures, _seconds(state))
            if delay := restart_delay(self._failures):
                await self._back_off(state, delay)
            if self._stopping.is_set():
                return False
            self._last_state = {"terminated": state}
            self._run = Run(self._folder, self._run.number + 1)

    async def stop(self, grace_seconds: float) -> None:
        """Stop the container permanently: its preStop hook, SIGTERM, and SIGKILL when the grace period is over."""
        self._grace_seconds = grace_seconds
        self._stopping.set()
        if self._run.running:
            await self._kill(grace_seconds)

    async def _run_process(self) -> bool:
        """Start the process, or find it running, and wait for its end; return False if stopped before."""
        if not self._run.begun:
            launch = await self._prepare()
            if launch is None:
                return False
            make_termination_file(self._context, self.spec)
            await self._run.start(launch, self._context.folder)
            self._launch = launch
        if self._run.running:
            await self._attend()
        return True

    async def _attend(self) -> None:
        self._ended.clear()
        self._started = "startupProbe" not in self.spec
        self._ready = self._started and "readinessProbe" not in self.spec
        self._set({"running": {"startedAt": self._run.started_at}})
        probes = asyncio.create_task(self._probe())
        try:
            if self._stopping.is_set():  # stopped while the process was being started
                self._killer = asyncio.create_task(self._kill(self._grace_seconds))
            await self._run.wait()
        finally:
            probes.cancel()
            self._ended.set()

    async def _prepare(self) -> Launch | None:
        """Gather what the process needs, waiting for what does not exist yet; return None if stopped."""
        for attempt in range(1_000_000):
            if self._stopping.is_set():
                return None
            try:
                launch = build_launch(self._context, self.spec, await self._context.load_sources())
                return None if self._stopping.is_set() else launch
            except ImageUnknown as error:
                self.wait_for("ErrImagePull" if attempt == 0 else "ImagePullBackOff", str(error))
                if attempt == 0:
                    self._context.report("Warning", "Failed", str(error))
            except NotConfigured as error:
                self.wait_for("CreateContainerConfigError", str(error))
            await self._pause(retry_delay(attempt))
        return None

    async def _back_off(self, state: Object, delay: float) -> None:
        self._last_state = {"terminated": state}
        message = f"back-off {delay:.0f}s restarting failed container={self.spec['name']}"
        self.wait_for("CrashLoopBackOff", message)
        self._context.report("Warning", "BackOff", message)
        await self._pause(delay)

    async def _probe(self) -> None:
        if "startupProbe" in self.spec:
            async for verdict, failure in self._verdicts("startupProbe"):
                if verdict.passing is False:
                    self._unhealthy("Startup", failure)
                    return
                if verdict.passing:
                    break
            self._started = True
            self._ready = "readinessProbe" not in self.spec
            self._context.changed()
        await asyncio.gather(self._probe_liveness(), self._probe_readiness())

    async def _probe_liveness(self) -> None:
        if "livenessProbe" in self.spec:
            async for verdict, failure in self._verdicts("livenessProbe"):
                if verdict.passing is False:
                    self._unhealthy("Liveness", failure)
                    return

    async def _probe_readiness(self) -> None:
        if "readinessProbe" in self.spec:
            async for verdict, failure in self._verdicts("readinessProbe"):
                if bool(verdict.passing) != self._ready:
                    self._ready = bool(verdict.passing)
                    if not self._ready:
                        self._context.report("Warning", "Unhealthy", f"Readiness probe failed: {failure}")
                    self._context.changed()

    def _verdicts(self, kind: str) -> AsyncIterator[tuple[Verdict, str | None]]:
        probe = self.spec[kind]

        async def check() -> str | None:
            try:
                return await check_probe(probe, self.spec, self._context.address, self._execute)
            except (NotConfigured, ImageUnknown) as error:
                return str(error)

        return verdicts(ProbeSpec.of(probe), check, quick=kind == "readinessProbe")

    def _unhealthy(self, kind: str, failure: str | None) -> None:
        message = f"{kind} probe failed: {failure}; container {self.spec['name']} will be killed"
        self._context.report("Warning", "Unhealthy", message)
        # not in the probe's own task: that one is cancelled as soon as the process has ended
        grace = self._context.pod["spec"].get("terminationGracePeriodSeconds", 30)
        self._killer = asyncio.create_task(self._kill(grace))

    async def _kill(self, grace_seconds: float) -> None:
        """Run the preStop hook and stop the process, all within the grace period."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_seconds
        try:
            failure = await run_pre_stop(self.spec, self._context.address, self._execute, grace_seconds)
        except (NotConfigured, ImageUnknown, aiohttp.ClientError, ApiError, TimeoutError) as error:
            failure = str(error)
        if failure:
            self._context.report("Warning", "FailedPreStopHook", f"preStop hook of {self.spec['name']}: {failure}")
        self._run.signal(kill=False)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), max(0.0, deadline - loop.time()))
        if not self._ended.is_set():
            self._run.signal(kill=True)

    async def _execute(self, argv: list[str], seconds: float) -> int:
        """Run a command in the container's environment: that of its start, or a new one after the node's restart."""
        if self._launch is None:
            self._launch = build_launch(self._context, self.spec, await self._context.load_sources())
        return await execute(argv, seconds, self._launch)

    @property
    def _message_policy(self) -> str:
        return str(self.spec.get("terminationMessagePolicy", "File"))

    def _restarts(self, exit_code: int) -> bool:
        return self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and exit_code != 0)

    def _set(self, state: Object) -> None:
        self._state = state
        self._context.changed()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _seconds(terminated: Object) -> float:
    began, ended = (datetime.datetime.fromisoformat(terminated[key]) for key in ("startedAt", "finishedAt"))
    return (ended - began).total_seconds()
