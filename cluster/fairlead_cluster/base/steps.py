"""Long steps of a setup, run in parallel, with progress on the terminal and output in log files."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from fairlead_cluster.base.daemons import tail
from fairlead_cluster.base.errors import SetupError

_PLAIN_REPORT_SECONDS = 60.0


@dataclass
class Step:
    """One piece of work; starts when every step of `after` has succeeded."""

    name: str
    work: Callable[["StepLog"], None]
    after: Collection[str] = ()
    state: str = "waiting"
    started: float | None = None
    seconds: float | None = None

    @property
    def elapsed(self) -> str:
        """Return the elapsed time, formatted."""
        if self.started is None:
            return ""
        return f"{self.seconds if self.seconds is not None else time.monotonic() - self.started:.0f} s"


@dataclass
class StepLog:
    """A step's log file; runs programs whose output is appended to it."""

    path: Path

    @property
    def ending(self) -> str:
        """Return the last lines, for an error's message."""
        return f"the last lines of {self.path}:\n{tail(self.path)}"

    def run(self, argv: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a program; raises SetupError with the last lines of the log when it fails."""
        words = [str(word) for word in argv]
        with self.path.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            try:
                result = subprocess.run(
                    words, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            except OSError as error:
                raise SetupError(f"{words[0]}: cannot be started: {error}") from error
        if result.returncode != 0:
            raise SetupError(f"{words[0]} exited {result.returncode}; {self.ending}")


def run_steps(steps: Sequence[Step], logs: Path, console: Console, at_once: int = 4) -> None:
    """Run all steps, independent ones in parallel; raises SetupError naming every step that failed."""
    if not steps:
        return
    logs.mkdir(parents=True, exist_ok=True)
    board = _Board(steps, console)
    done = {step.name: threading.Event() for step in steps}
    with board, ThreadPoolExecutor(at_once + len(steps)) as pool:
        gate = threading.Semaphore(at_once)
        futures = [pool.submit(_run, step, steps, done, gate, board, logs / f"{step.name}.log") for step in steps]
        pending: set[Future[None]] = set(futures)
        while pending:
            _, pending = wait(pending, timeout=0.25)
            board.tick()
    errors = [f"{step.name}: {error}" for step, f in zip(steps, futures, strict=True) if (error := f.exception())]
    if errors:
        raise SetupError("\n\n".join(errors))


def _run(
    step: Step,
    steps: Sequence[Step],
    done: Mapping[str, threading.Event],
    gate: threading.Semaphore,
    board: "_Board",
    path: Path,
) -> None:
    try:
        for name in step.after:
            done[name].wait()
        if any(other.state in ("failed", "skipped") for other in steps if other.name in step.after):
            step.state = "skipped"
            return
        with gate:
            path.write_bytes(b"")
            step.state, step.started = "running", time.monotonic()
            board.changed(step)
            try:
                step.work(StepLog(path))
                step.state = "done"
            except BaseException:
                step.state = "failed"
                raise
            finally:
                step.seconds = time.monotonic() - step.started
                board.changed(step)
    finally:
        done[step.name].set()


class _Board:
    """A live table on a terminal; otherwise a line per change and, for long steps, one per minute."""

    def __init__(self, steps: Sequence[Step], console: Console) -> None:
        self._steps, self._console = steps, console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._reported = time.monotonic()

    def __enter__(self) -> None:
        if self._live:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        self.tick()
        if self._live:
            self._live.stop()

    def changed(self, step: Step) -> None:
        """Report a step's new state if there is no live table."""
        if not self._live:
            self._console.print(f"{step.name}: {step.state} {step.elapsed if step.seconds else ''}".rstrip())

    def tick(self) -> None:
        """Refresh the table, or report steps that are still running."""
        if self._live:
            self._live.update(_table(self._steps))
        elif time.monotonic() - self._reported > _PLAIN_REPORT_SECONDS:
            self._reported = time.monotonic()
            for step in self._steps:
                if step.state == "running":
                    self._console.print(f"{step.name}: still running, {step.elapsed}")


_STYLES = {"waiting": "dim", "skipped": "dim", "running": "yellow", "done": "green", "failed": "bold red"}


def _table(steps: Sequence[Step]) -> Table:
    table = Table("step", "state", "elapsed")
    for step in steps:
        table.add_row(step.name, f"[{_STYLES[step.state]}]{step.state}[/]", step.elapsed)
    return table
