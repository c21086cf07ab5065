"""`fairlead doctor`: what is wrong with the cluster or a resource, and what to do about it."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from fairlead import __version__
from fairlead.cli.console import CommandError, explained, out, plain
from fairlead.cli.resources import FIELD_MANAGER, Kinds, Namespace, split_reference
from fairlead.client import FairleadClient
from fairlead.client.diagnosis import Diagnosis, check_cluster, check_resource
from fairlead.client.objects import canonical_kind

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "bold red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Any cluster")(doctor)


def doctor(
    resource: Annotated[str, typer.Argument(help="tj/NAME, sw/NAME or mdep/NAME; default: only the cluster.")] = "",
    namespace: Namespace = None,
) -> None:
    """Look for what is wrong with the cluster or a resource, and say what to do.

    Exits with 1 if there is a problem.

    Examples:

      fairlead doctor

      fairlead doctor tj/digits
    """
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        found = list(check_cluster(client.examine_cluster(), __version__))
        if resource:
            kind, name = split_reference(resource)
            if canonical_kind(kind) not in Kinds:
                raise CommandError(f"got the kind {kind!r}, expected tj, sw or mdep")
            found += check_resource(client.examine(kind, name))
    out.print(build_report(found))
    if any(diagnosis.level == "problem" for diagnosis in found):
        sys.exit(1)


def build_report(found: Sequence[Diagnosis]) -> Table:
    """Return a line for each thing that was looked at, and below it what to do."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold", ratio=1)
    for diagnosis in found:
        mark, style = _MARKS[diagnosis.level]
        table.add_row(Text(mark, style=style), Text(plain(diagnosis.subject)), Text(plain(diagnosis.text)))
        if diagnosis.action:
            table.add_row("", "", Text(f"→ {plain(diagnosis.action)}", style="cyan"))
    return table
