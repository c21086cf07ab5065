"""Run a training job of the demo with a progress bar, replacing an earlier one."""

from fairlead.cli.console import out
from fairlead.client import FairleadClient, NotFound, Object
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_KIND = "TrainingJob"
_GONE_SECONDS = 60.0
_TRAINING_SECONDS = 3600.0


def replace(client: FairleadClient, job: Object) -> None:
    """Apply a job, replacing that of an earlier run: applying a finished job does not run it again."""
    name = job["metadata"]["name"]
    try:
        client.delete(_KIND, name)
    except NotFound:
        pass
    else:
        client.wait_until_deleted(_KIND, name, _GONE_SECONDS)
    client.apply(job)


def watch_training(client: FairleadClient, name: str) -> Object:
    """Show a job's progress until it ends; return its status. Raises ResourceFailed when it failed."""
    columns = (
        TextColumn("  training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[rate]} samples/s"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("training", total=None, loss="…", rate="…")

        def show(job: Object) -> None:
            progress = job.get("status", {}).get("progress", {})
            bar.update(
                task, completed=progress.get("step", 0), total=progress.get("totalSteps"),
                loss=f"{progress.get('metrics', {}).get('loss', float('nan')):.4f}",
                rate=f"{progress.get('samplesPerSecond') or 0:.0f}",
            )  # fmt: skip

        job = client.wait(_KIND, name, "Succeeded", seconds=_TRAINING_SECONDS, on_observed=show)
    return dict(job["status"])
