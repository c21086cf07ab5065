"""`fairlead kind up`, `images`, `store`, `down`: a kind cluster of two nodes."""

from typing import Annotated

import typer
from fairlead.cli.console import out

from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.base.reporting import explained
from fairlead_cluster.kind import operations
from fairlead_cluster.kind.store import CLIENT_SECRET


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    kind = typer.Typer(no_args_is_help=True, help="A Kubernetes cluster of two nodes in containers (kind).")
    for command in (up, images, store, down):
        kind.command()(command)
    app.add_typer(kind, name="kind", rich_help_panel="kind cluster")


def up() -> None:
    """Start the kind cluster; install and build what is missing (as root where no container engine runs)."""
    with explained():
        operations.up(_home(), out)


def images(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE]...", help="Components, or `minio`. Default: all of them."),
    ] = None,
) -> None:
    """Build the images that changed and load them into the cluster's nodes."""
    with explained():
        operations.make_images(_home(), out, names or [])


def store(
    share: Annotated[
        list[str] | None, typer.Option(metavar="NAMESPACE", help=f"Write the Secret {CLIENT_SECRET} there; repeatable.")
    ] = None,
) -> None:
    """Install the object store in the cluster."""
    with explained():
        operations.install_store(_home(), out, share or [])


def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Also delete the images of the engine that `up` started.")
    ] = False,
) -> None:
    """Delete the cluster and everything that was started for it."""
    with explained():
        operations.down(_home(), out, purge=purge)


def _home() -> Home:
    return Home(default_home())
