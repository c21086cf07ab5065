"""`fairlead setup`, `up`, `status`, `down`: the local cluster."""

from typing import Annotated

import typer
from fairlead.cli.console import out

from fairlead_cluster.base.home import default_home
from fairlead_cluster.base.reporting import explained
from fairlead_cluster.environments import setup as make_environments
from fairlead_cluster.local import cluster

_PANEL = "Local cluster"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=_PANEL)(setup)
    app.command(rich_help_panel=_PANEL)(up)
    app.command(rich_help_panel=_PANEL)(status)
    app.command(rich_help_panel=_PANEL)(down)


def setup(
    components: Annotated[
        list[str] | None, typer.Argument(help="Components, or `kubernetes`. Default: all of them.")
    ] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Add what the components' tests need.")] = False,
) -> None:
    """Build and install what the local cluster and the components need; quick when all of it exists."""
    with explained():
        make_environments(components or (), default_home(), out, tests=tests)


def up() -> None:
    """Start a Kubernetes control plane, a node and the operator on this machine, without Docker or root."""
    with explained():
        cluster.up(default_home(), console=out)


def status() -> None:
    """Show which parts of the local cluster are running."""
    cluster.status(default_home(), out)


def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Also delete its objects; artifacts and logs are kept.")
    ] = False,
) -> None:
    """Stop the local cluster and every process of its pods; `up` finds its objects again."""
    with explained():
        cluster.down(default_home(), purge=purge)
