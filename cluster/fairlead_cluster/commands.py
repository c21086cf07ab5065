"""The commands that this distribution adds to `fairlead`: the local cluster's, the demo, and `fairlead kind`."""

import typer

from fairlead_cluster.demo import command as demo
from fairlead_cluster.kind import commands as kind
from fairlead_cluster.local import commands as local


def register(app: typer.Typer) -> None:
    """Add the commands; the entry point in the group `fairlead.commands`."""
    local.register(app)
    demo.register(app)
    kind.register(app)
