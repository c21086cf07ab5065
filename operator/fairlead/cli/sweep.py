"""`fairlead sweep`: the trials of a Sweep as a table, and a plot of them as a file."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fairlead.cli.console import CommandError, explained, out, plain, style_of
from fairlead.cli.following import Following, follow
from fairlead.cli.resources import FIELD_MANAGER, Namespace
from fairlead.cli.sweep_plot import draw_sweep
from fairlead.client import FairleadClient
from fairlead.client.diagnosis import find_explanation
from fairlead.client.waiting import find_condition, is_finished
from fairlead.core import names

Object = dict[str, Any]
_KIND = "Sweep"
_POLL_SECONDS = 1.0
_BAR = 20
_STYLES = {"Pruned": "yellow", "Stopped": "dim", "Pending": "dim"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Any cluster")(sweep)


def sweep(
    name: Annotated[str, typer.Argument(help="The Sweep.")],
    namespace: Namespace = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the sweep until it has ended.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the trials and their rungs to this .svg file.")] = None,
) -> None:
    """Show the trials of a sweep, the best one marked.

    With --watch, exits with 1 if the sweep fails.

    Examples:

      fairlead sweep digits --watch

      fairlead sweep digits --plot digits.svg
    """
    with explained():
        if plot and plot.suffix != ".svg":
            raise CommandError(f"--plot: got {plot}, expected a name that ends in .svg")
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        found = read_sweep(client, name)
        try:
            found = _follow(client, found) if watch else _print(found)
        except KeyboardInterrupt:
            out.print("\nThe sweep goes on.")
            sys.exit(130)
        if plot:
            try:
                plot.write_text(draw_sweep(found))
            except OSError as error:
                raise CommandError(f"--plot: {error}") from None
            out.print(f"plot: {plot}", markup=False, soft_wrap=True)
    if watch and find_condition(found, "Failed"):
        sys.exit(1)


def read_sweep(client: FairleadClient, name: str) -> Object:
    """Return a sweep, whose running trials have the step and value that their jobs report now; raises NotFound."""
    found = client.get(_KIND, name)
    trials = found.get("status", {}).get("trials", [])
    if not any(trial.get("state") == "Running" for trial in trials):
        return found
    metric = found["spec"]["objective"]["metric"]
    jobs = {job["metadata"]["name"]: job for job in client.list("TrainingJob", labels=f"{names.SWEEP}={name}")}
    for trial in trials:
        progress = jobs.get(job_name(found, trial), {}).get("status", {}).get("progress", {})
        if trial.get("state") == "Running" and metric in progress.get("metrics", {}):
            trial |= {"step": progress.get("step"), "value": progress["metrics"][metric]}
    return found


def job_name(found: Object, trial: Object) -> str:
    """Return the name of a trial's job."""
    return f"{found['metadata']['name']}-{trial['number']:04}"


def build_view(found: Object) -> RenderableType:
    """Return the table of the trials, and what explains the sweep's state."""
    status, spec = found.get("status", {}), found["spec"]
    best, objective = status.get("best", {}), spec["objective"]
    phase, counts = status.get("phase") or "Pending", status.get("counts", {})
    head = Text(plain(found["metadata"]["name"]), style="bold")
    head.append(f"  {plain(phase)}", style=style_of(phase))
    head.append(f"  {counts.get('total', 0)}/{spec['maxTrials']} trials  {objective['goal']} ", style="default")
    head.append(plain(objective["metric"]), style="default")
    parts: list[RenderableType] = [head]
    if trials := status.get("trials", []):
        parts.append(_build_table(trials, [each["name"] for each in spec["parameters"]], objective, best))
    if best:
        model = f", {best['model']['uri']}" if best.get("model") else ""
        parts.append(Text(plain(f"best: {best['job']} with {objective['metric']} {best['value']:.6g}{model}"), "green"))
    if explaining := find_explanation(found):
        parts.append(Text(plain(f"{explaining['reason']}: {explaining['message']}"), style="dim"))
    return Group(*parts)


def describe_line(found: Object) -> str:
    """Return the state of a sweep as one line, for output that is no terminal."""
    status = found.get("status", {})
    counts = status.get("counts", {})
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if state != "total" and count)
    best = status.get("best")
    words = [found["metadata"]["name"], status.get("phase") or "Pending", states]
    words += [f"best {best['job']} {best['value']:.6g}"] if best else []
    return plain(" ".join(word for word in words if word))


def _build_table(
    trials: Sequence[Object], parameters: Sequence[str], objective: Mapping[str, Any], best: Mapping[str, Any]
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("TRIAL", "STATE"):
        table.add_column(column, no_wrap=True)
    table.add_column("STEP", justify="right", no_wrap=True)
    table.add_column(plain(objective["metric"]).upper(), justify="right", no_wrap=True)
    table.add_column("")
    for name in parameters:
        table.add_column(plain(name), justify="right")
    values = [trial["value"] for trial in trials if "value" in trial]
    for trial in trials:
        is_best = trial["number"] == best.get("number")
        state, value = trial.get("state", ""), trial.get("value")
        table.add_row(
            f"{trial['number']}{' ★' if is_best else ''}",
            Text(plain(state), style=_STYLES.get(state) or style_of(state)),
            str(trial.get("step", "")),
            "" if value is None else f"{value:.4g}",
            "" if value is None else _draw_bar(value, values),
            *(plain(str(trial.get("parameters", {}).get(name, ""))) for name in parameters),
            style="bold" if is_best else "",
        )
    return table


def _draw_bar(value: float, values: Sequence[float]) -> str:
    """Return a bar as long as a value lies between the smallest and the largest one."""
    low, high = min(values), max(values)
    share = (value - low) / (high - low) if high > low else 1.0
    return "█" * max(1, round(share * _BAR))


def _follow(client: FairleadClient, found: Object) -> Object:
    """Show a sweep until it has ended; return it as it was last seen."""
    name = found["metadata"]["name"]
    following = Following(
        lambda: read_sweep(client, name), is_finished, build_view, describe_line, _POLL_SECONDS, overflow="visible"
    )
    return follow(found, following, out)


def _print(found: Object) -> Object:
    out.print(build_view(found))
    return found
