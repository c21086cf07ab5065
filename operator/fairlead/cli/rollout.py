"""`fairlead rollout`: watch the rollout of a ModelDeployment, hold it, or decide it."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fairlead.cli.console import explained, out, plain
from fairlead.cli.following import Following, follow
from fairlead.cli.resources import FIELD_MANAGER, Namespace
from fairlead.client import FairleadClient

Object = dict[str, Any]
Name = Annotated[str, typer.Argument(help="The ModelDeployment.")]
_KIND = "ModelDeployment"
_POLL_SECONDS = 1.0
_BAR = 20
_SHOWN = 5
"""How many verdicts are shown."""
_STYLES = {
    "Passed": "green", "Failed": "bold red", "Inconclusive": "yellow", "Promoted": "green", "RolledBack": "bold red",
}  # fmt: skip
_DONE = {
    "pause": "stays at its step",
    "resume": "goes on",
    "promote": "gets all its pods, and then the Service",
    "abort": "was rolled back",
    "retry": "is the candidate again",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Watch, hold or decide the rollout of a model deployment.", no_args_is_help=True)
    group.command()(status)
    for word in _DONE:
        group.command(word, help=_HELP[word])(_make_command(word))
    app.add_typer(group, name="rollout", rich_help_panel="Any cluster")


def status(
    name: Name,
    namespace: Namespace = None,
    watch: Annotated[bool, typer.Option(help="Follow the rollout until it has ended.")] = True,
) -> None:
    """Show a rollout and its last verdicts, until it has ended.

    Exits with 1 if the deployment's spec was rolled back.

    Examples:

      fairlead rollout status digits
    """
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        deployment = client.get(_KIND, name)
        try:
            deployment = _follow(client, deployment) if watch else _print(deployment)
        except KeyboardInterrupt:
            out.print("\nThe rollout goes on.")
            sys.exit(130)
    if deployment.get("status", {}).get("rollout", {}).get("failedRevision"):
        sys.exit(1)


_HELP = {
    "pause": "Keep the candidate at its step. It is still rolled back if it fails.",
    "resume": "Let a paused rollout go on.",
    "promote": "Make the candidate the stable revision, without more verdicts than one that fails it.",
    "abort": "Roll the candidate back.",
    "retry": "Try the revision again that was rolled back.",
}


def _make_command(word: str) -> Callable[..., None]:
    def run(name: Name, namespace: Namespace = None) -> None:
        with explained():
            revision = FairleadClient(namespace, field_manager=FIELD_MANAGER).command_rollout(name, word)
        out.print(f"{_KIND} [bold]{name}[/]: revision {revision} {_DONE[word]}")

    return run


def build_view(deployment: Object) -> RenderableType:
    """Return the revisions with their shares, the step, and the last verdicts."""
    status = deployment.get("status", {})
    rollout = status.get("rollout", {})
    parts: list[RenderableType] = [_build_head(deployment), _build_revisions(status)]
    if verdicts := rollout.get("verdicts", [])[-_SHOWN:]:
        parts.append(_build_verdicts(verdicts))
    if message := _explain(deployment):
        parts.append(Text(plain(message), style="dim"))
    return Group(*parts)


def describe_line(deployment: Object) -> str:
    """Return the state of a rollout as one line, for output that is no terminal."""
    status = deployment.get("status", {})
    rollout = status.get("rollout", {})
    words = [deployment["metadata"]["name"], _phase(deployment)]
    if status.get("candidateRevision"):
        words.append(f"revision {status['candidateRevision']} step {_step(deployment)} {rollout.get('weight', 0)} %")
    if verdicts := rollout.get("verdicts"):
        words.append(f"({verdicts[-1]['result'].lower()}: {verdicts[-1].get('message', '')})")
    return plain(" ".join(words))


def _follow(client: FairleadClient, deployment: Object) -> Object:
    """Show a deployment until it has no candidate; return it as it was last seen."""
    name = deployment["metadata"]["name"]
    following = Following(lambda: client.get(_KIND, name), _has_ended, build_view, describe_line, _POLL_SECONDS)
    return follow(deployment, following, out)


def _print(deployment: Object) -> Object:
    out.print(build_view(deployment))
    return deployment


def _has_ended(deployment: Object) -> bool:
    """Return whether the spec of a deployment is that of no candidate."""
    observed = deployment.get("status", {}).get("observedGeneration") == deployment["metadata"].get("generation")
    return observed and not deployment.get("status", {}).get("candidateRevision")


def _build_head(deployment: Object) -> RenderableType:
    rollout, phase = deployment.get("status", {}).get("rollout", {}), _phase(deployment)
    table = Table.grid(padding=(0, 2))
    row: list[RenderableType] = [
        Text(plain(deployment["metadata"]["name"]), style="bold"),
        Text(plain(phase), style=_STYLES.get(phase, "cyan")),
    ]
    if deployment.get("status", {}).get("candidateRevision"):
        weight = rollout.get("weight", 0)
        row += [f"step {_step(deployment)}", ProgressBar(total=100, completed=weight, width=_BAR), f"{weight} %"]
        row.append(f"servers {rollout.get('confirmed', 0)}/{rollout.get('servers', 0)}")
    table.add_row(*row)
    return table


def _build_revisions(status: Object) -> Table:
    rollout = status.get("rollout", {})
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("REVISION", "ROLE", "REQUESTS", "COPIES"):
        table.add_column(column, no_wrap=True)
    weight, mirror = rollout.get("weight", 0), rollout.get("mirror", 0)
    if stable := status.get("stableRevision"):
        table.add_row(plain(stable), "stable", f"{100 - weight} %", "")
    if candidate := status.get("candidateRevision"):
        table.add_row(plain(candidate), "candidate", f"{weight} %", f"{mirror} %" if mirror else "")
    if failed := rollout.get("failedRevision"):
        table.add_row(plain(failed), "rolled back", "", "")
    return table


def _build_verdicts(verdicts: list[Object]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("TIME", "VERDICT", "STEP"):
        table.add_column(column, no_wrap=True)
    for column in ("REQUESTS", "ERRORS", "P99", "AGREED"):
        table.add_column(column, justify="right", no_wrap=True)
    for verdict in verdicts:
        p99, compared = verdict.get("p99Seconds"), verdict.get("compared", 0)
        table.add_row(
            verdict["at"][11:19],
            Text(plain(verdict["result"]), style=_STYLES.get(verdict["result"], "")),
            str(verdict.get("step", "")),
            f"{verdict.get('requests', 0):,}",
            f"{verdict.get('errors', 0):,}",
            "" if p99 is None else f"{p99 * 1000:.4g} ms",
            f"{verdict.get('agreed', 0):,}/{compared:,}" if compared else "",
        )
    return table


def _phase(deployment: Object) -> str:
    status, rollout = deployment.get("status", {}), deployment.get("status", {}).get("rollout", {})
    paused = rollout.get("paused") or deployment.get("spec", {}).get("rollout", {}).get("paused")
    if status.get("candidateRevision"):
        return f"{rollout.get('phase', '')}{' (paused)' if paused else ''}"
    return str(rollout.get("phase") or ("Stable" if status.get("stableRevision") else "No rollout"))


def _step(deployment: Object) -> str:
    steps = len(deployment.get("spec", {}).get("rollout", {}).get("steps", [])) or 1
    return f"{min(deployment['status']['rollout'].get('step', 0) + 1, steps)}/{steps}"


def _explain(deployment: Object) -> str:
    rollout = deployment.get("status", {}).get("rollout", {})
    if deployment.get("status", {}).get("candidateRevision"):
        verdicts = rollout.get("verdicts", [])
        return verdicts[-1].get("message", "") if verdicts else ""
    return str(rollout.get("message", ""))
