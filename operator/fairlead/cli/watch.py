"""Shows jobs while they run: a live table with a progress bar for each on a terminal, else a line for each change."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fairlead.cli.console import escape, out, plain, style_of
from fairlead.client import FairleadClient, NotFound, Unreachable
from fairlead.client.diagnosis import find_explanation
from fairlead.client.waiting import find_condition, is_finished

Object = dict[str, Any]
_KIND = "TrainingJob"
_POLL_SECONDS = 1.0
_LINE_SECONDS = 10.0
"""How often a line reports the progress of a job whose phase stays the same, where there is no terminal."""
_BAR, _SHORT_BAR = 24, 10
_WIDE = 100
"""Characters of a terminal from which there is room for the long bar."""
Read = Callable[[], Sequence[Object]]


def watch_jobs(client: FairleadClient, name: str | None = None, *, everywhere: bool = False) -> None:
    """Show the training jobs until the user interrupts; with a name, this one until it has finished."""
    read = _one(client, name) if name else lambda: client.list(_KIND, everywhere=everywhere)
    read()  # a cluster that does not answer at all is an error, not an outage to wait for
    _show(out, read, until=lambda jobs: bool(name) and all(map(is_finished, jobs)))


def follow_job(client: FairleadClient, name: str) -> int:
    """Show a job until it has finished, and its result; return 0 if it has succeeded, else 1.

    An interrupt ends only the following: the job goes on.
    """
    try:
        read = _one(client, name)
        _show(out, read, until=lambda jobs: all(map(is_finished, jobs)))
        ((job,),) = _observe(read, until=lambda _: True)
    except KeyboardInterrupt:
        out.print(f"\nThe job goes on. Follow it with: fairlead get tj {name} --watch")
        return 130
    print_result(out, job)
    return 0 if find_condition(job, "Succeeded") else 1


def print_result(console: Console, job: Object) -> None:
    """Print how a finished job ended, and where its model is."""
    name, status = job["metadata"]["name"], job.get("status", {})
    seconds = _seconds_between(status.get("startTime"), status.get("completionTime"))
    took = f" after {format_seconds(seconds)}" if seconds is not None else ""
    if not find_condition(job, "Succeeded"):
        condition = find_condition(job, "Failed") or {"reason": "Unknown", "message": ""}
        console.print(f"[bold red]✗[/] {name} failed{took}: [red]{escape(condition['reason'])}[/]")
        console.print(Text(plain(condition["message"])), soft_wrap=True)
        console.print(f"\nIts logs: fairlead logs {name}", style="dim")
        return
    console.print(f"[green]✓[/] {name} succeeded{took}")
    metrics = status.get("progress", {}).get("metrics", {})
    if metrics:
        console.print("  metrics  " + escape(", ".join(f"{key} {value:.4g}" for key, value in metrics.items())))
    for artifact in status.get("provenance", []):
        if artifact["name"] == "model":
            console.print(f"  model    {escape(artifact['uri'])}\n  digest   {artifact['digest']}", soft_wrap=True)


def build_view(jobs: Sequence[Object], width: int) -> Group:
    """Return a table with a progress bar for each job, and below it a line for each that waits or has failed."""
    everywhere = _span_namespaces(jobs)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (*(["NAMESPACE"] if everywhere else []), "NAME"):
        table.add_column(column, overflow="fold")
    for column in ("PHASE", "WORKERS", "PROGRESS"):
        table.add_column(column, no_wrap=True)
    for column in ("STEP", "LEFT", "SAMPLES/S", "LOSS"):
        table.add_column(column, justify="right", no_wrap=True)
    for job in jobs:
        namespace = [str(job["metadata"].get("namespace", ""))] if everywhere else []
        table.add_row(*namespace, *_build_row(job, _BAR if width >= _WIDE else _SHORT_BAR))
    notes = [(_name(job, everywhere), _explain(job)) for job in jobs]
    return Group(
        table,
        *(Text(f"{name}  {note}", style="dim", no_wrap=True, overflow="ellipsis") for name, note in notes if note),
    )


def _span_namespaces(jobs: Sequence[Object]) -> bool:
    return len({job["metadata"].get("namespace") for job in jobs}) > 1


def _name(job: Object, everywhere: bool) -> str:
    name = str(job["metadata"]["name"])
    return f"{job['metadata'].get('namespace', '')}/{name}" if everywhere else name


def _build_row(job: Object, bar_width: int) -> list[RenderableType]:
    status = job.get("status", {})
    progress, workers, phase = status.get("progress", {}), status.get("workers", {}), status.get("phase", "")
    total, done = progress.get("totalSteps"), progress.get("step", 0)
    return [
        str(job["metadata"]["name"]),
        Text(plain(phase), style=style_of(phase)),
        f"{workers.get('ready', 0)}/{workers.get('desired', 0)}",
        ProgressBar(total=total, completed=done, width=bar_width) if total else "",
        f"{done:,}/{total:,}" if total else f"{done:,}" if progress else "",
        format_seconds(progress.get("etaSeconds")) if phase == "Running" else "",
        _number(progress.get("samplesPerSecond")),
        _number(progress.get("metrics", {}).get("loss")),
    ]


def describe_line(job: Object, everywhere: bool = False) -> str:
    """Return a job's state as one line, for output that is no terminal; with its namespace for jobs of several."""
    status = job.get("status", {})
    progress = status.get("progress", {})
    words = [_name(job, everywhere), status.get("phase") or "new"]
    if progress:
        total = progress.get("totalSteps")
        words.append(f"step {progress.get('step', 0)}{f'/{total}' if total else ''}")
        words += [f"{name} {value:.4g}" for name, value in progress.get("metrics", {}).items()]
    if explanation := _explain(job):
        words.append(f"({explanation})")
    return plain(" ".join(words))


def format_seconds(seconds: float | None) -> str:
    """Return a duration, such as 1h02m, 3m04s or 5s; empty for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _show(console: Console, read: Read, until: Callable[[Sequence[Object]], bool]) -> None:
    if not console.is_terminal:
        for line in describe_changes(_observe(read, until)):
            console.print(line, markup=False, soft_wrap=True)
        return
    with Live(console=console, auto_refresh=False) as live:
        for jobs in _observe(read, until):
            live.update(build_view(jobs, console.width) if jobs else "no training jobs", refresh=True)


def describe_changes(
    observed: Iterator[Sequence[Object]], clock: Callable[[], float] = time.monotonic
) -> Iterator[str]:
    """Yield a line for each job whose phase has changed, or whose last line has been out of date for some seconds."""
    shown: dict[str, tuple[str, str, float]] = {}
    for jobs in observed:
        everywhere = _span_namespaces(jobs)
        for job in jobs:
            name, phase = _name(job, everywhere=True), job.get("status", {}).get("phase", "")
            line = describe_line(job, everywhere)
            last_phase, last_line, since = shown.get(name, ("none", "", 0.0))
            if line != last_line and (phase != last_phase or clock() - since >= _LINE_SECONDS):
                shown[name] = (phase, line, clock())
                yield line


def _observe(read: Read, until: Callable[[Sequence[Object]], bool]) -> Iterator[Sequence[Object]]:
    """Yield the jobs again and again, the last time when `until` holds; an API server that is away is retried."""
    while True:
        try:
            jobs = read()
        except Unreachable:
            time.sleep(_POLL_SECONDS)
            continue
        yield jobs
        if until(jobs):
            return
        time.sleep(_POLL_SECONDS)


def _one(client: FairleadClient, name: str) -> Read:
    def read() -> Sequence[Object]:
        try:
            return [client.get(_KIND, name)]
        except NotFound:
            raise NotFound(f"{_KIND} {name}: does not exist, or was deleted") from None

    return read


def _explain(job: Object) -> str:
    """Return the first line of what explains a job's phase; nothing while it runs or once it has succeeded."""
    if job.get("status", {}).get("phase") in ("Running", "Succeeded"):
        return ""
    condition = find_explanation(job)
    return plain(f"{condition['reason']}: {condition['message'].splitlines()[0]}") if condition else ""


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    first, last = (datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) for text in (start, end))
    return (last - first).total_seconds()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
