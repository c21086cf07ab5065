"""The commands that this distribution adds to `fairlead`."""

import typer

from fairlead_projects import dataset, train

PANEL = "Your code and data"


def register(app: typer.Typer) -> None:
    """Add the commands; the entry point in the group `fairlead.commands`."""
    app.command(rich_help_panel=PANEL)(train.train)
    group = typer.Typer(help="Publish datasets.", no_args_is_help=True, rich_markup_mode="rich")
    group.command()(dataset.publish)
    app.add_typer(group, name="dataset", rich_help_panel=PANEL)
