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
        if problem := found.get("problem") or "; ".join(found["over_budget"]):
            table.add_row(name, "", "", "", escape(problem))
            continue
        share = found["bytes_after"] / found["bytes_before"]
        figures = (f"{found['accuracy_after']:.4f}", f"{found['agreement']:.4f}")
        table.add_row(name, f"{found['bytes_after']:,}", f"{share:.0%}", *figures)
    return table


def _print_summary(facts: Facts, home: Home, report: Path) -> None:
    out.print()
    out.print(_build_targets(facts["targets"]))
    out.print()
    out.print(f"accuracy over HTTP   [bold green]{facts['accuracy']:.4f}[/] on held-out digits")
    out.print(f"artifacts            {home.root}/artifacts")
    variables = f"KUBECONFIG={shlex.quote(f'{home.cluster}/kubeconfig')} PATH={shlex.quote(str(home.bin))}:$PATH"
    out.print(f"kubectl              export {variables}")
    out.print(f"report               {report.absolute()}")
    out.print("again, another way   fairlead get · fairlead describe tj/digits · fairlead logs tj/digits --worker 0")
