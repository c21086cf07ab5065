"""Wait for resources, and show how far they are."""

import time

from fairlead.cli.cluster import Cluster, Object
from fairlead.cli.console import CommandError, out
from fairlead.core import names
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def replace(cluster: Cluster, job: Object) -> None:
    """Apply a job in place of one of an earlier run: a finished job is not run again by applying it."""
    name = job["metadata"]["name"]
    if any(item["metadata"]["name"] == name for item in cluster.list("TrainingJob")):
        cluster.delete("TrainingJob", name)
        while cluster.list("TrainingJob") or cluster.list("Pod", f"{names.JOB}={name}"):
            time.sleep(0.1)
    cluster.apply(job)


def wait(cluster: Cluster, kind: str, name: str, conditions: tuple[str, ...], seconds: float = 120) -> str:
    """Wait until one of the conditions is True and return it; raises CommandError with what is known instead."""
    end = time.monotonic() + seconds
    told: list[str] = []
    while time.monotonic() < end:
        obj = cluster.get(kind, name)
        status = obj.get("status", {})
        if status.get("observedGeneration") != obj["metadata"]["generation"]:
            status = {}  # it still speaks of an earlier spec
        for condition in status.get("conditions", []):
            if condition["type"] in conditions and condition["status"] == "True":
                return str(condition["type"])
        told = [f"{c['type']}={c['status']} {c['reason']}: {c['message']}" for c in status.get("conditions", [])]
        time.sleep(0.1)
    raise CommandError(f"{kind} {name}: not {' or '.join(conditions)} after {seconds:.0f} s\n" + "\n".join(told))


def watch_training(cluster: Cluster, name: str) -> Object:
    """Show a job's progress until it ends; return its status. Raises CommandError when it failed."""
    columns = (
        TextColumn("  training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[rate]} samples/s"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("training", total=None, loss="…", rate="…")
        while True:
            status = dict(cluster.get("TrainingJob", name).get("status", {}))
            progress = status.get("progress", {})
            bar.update(
                task, completed=progress.get("step", 0), total=progress.get("totalSteps"),
                loss=f"{progress.get('metrics', {}).get('loss', float('nan')):.4f}",
                rate=f"{progress.get('samplesPerSecond') or 0:.0f}",
            )  # fmt: skip
            if status.get("completionTime"):
                break
            time.sleep(0.2)
    if status["phase"] != "Succeeded":
        failed = next(c for c in status["conditions"] if c["type"] == "Failed")
        raise CommandError(f"TrainingJob {name} failed: {failed['reason']}: {failed['message']}")
    return status
