"""`fairlead demo`: the command and its summary."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from fairlead.cli.console import CommandError, out
from rich.markup import escape
from rich.table import Table

from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.base.reporting import explained
from fairlead_cluster.demo.run import Demo, Facts
from fairlead_cluster.demo.stages import Stages
from fairlead_cluster.local import cluster as local_cluster

MIN_ACCURACY = 0.95
_NOT_INSTALLED = "is not installed"
"""What targets say whose engine or builder is left out here."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Local cluster")(demo)


def demo(
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("report.html"),
    keep: Annotated[bool, typer.Option(help="Leave the local cluster running.")] = True,
) -> None:
    """Run the worked example on the local cluster; exits 1 when a gate fails or accuracy is under 0.95."""
    with explained():
        run = Demo(default_home(), Stages(out))
        try:
            facts = run.all(report)
        finally:
            if not keep:
                local_cluster.down(run.home)
        out.print(run.stages.table())
        _print_summary(facts, Home(run.home), report)
        if facts["accuracy"] < MIN_ACCURACY:
            raise CommandError(f"accuracy over HTTP is {facts['accuracy']:.4f}, expected at least {MIN_ACCURACY}")


def _build_targets(targets: Facts) -> Table:
    """Return a table of what the model is on devices."""
    table = Table(title="for devices", title_justify="left")
    table.add_column("target")
    for column in ("bytes", "of the source", "accuracy", "agreement"):
        table.add_column(column, justify="right")
    for name, found in targets.items():
        if _find_problem(found):
            continue
        share = found["bytes_after"] / found["bytes_before"]
        figures = (f"{found['accuracy_after']:.4f}", f"{found['agreement']:.4f}")
        table.add_row(name, f"{found['bytes_after']:,}", f"{share:.0%}", *figures)
    return table


def _find_problem(target: Facts) -> str:
    """Return why a target has no figures, or is over its budget; empty if it is neither."""
    return str(target.get("problem") or "; ".join(target["over_budget"]))


def _describe_problems(targets: Facts) -> list[str]:
    """Return a line for each target that cannot be had, those that are only not installed together."""
    problems = {name: problem for name, found in targets.items() if (problem := _find_problem(found))}
    missing = [name for name, problem in problems.items() if _NOT_INSTALLED in problem]
    lines = [f"{name}: {problem}" for name, problem in problems.items() if name not in missing]
    return lines + ([f"{', '.join(missing)}: not installed (docs/guides/edge.md)"] if missing else [])


def _print_summary(facts: Facts, home: Home, report: Path) -> None:
    out.print()
    out.print(_build_targets(facts["targets"]))
    for line in _describe_problems(facts["targets"]):
        out.print(escape(line), style="dim", soft_wrap=True)
    out.print()
    out.print(f"accuracy over HTTP   [bold green]{facts['accuracy']:.4f}[/] on held-out digits")
    out.print(f"artifacts            {home.root}/artifacts")
    variables = f"KUBECONFIG={shlex.quote(f'{home.cluster}/kubeconfig')} PATH={shlex.quote(str(home.bin))}:$PATH"
    out.print(f"kubectl              export {variables}")
    out.print(f"report               {report.absolute()}")
    out.print("again, another way   fairlead get · fairlead describe tj/digits · fairlead logs tj/digits --worker 0")
