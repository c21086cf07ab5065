"""The command `fairlead`: its subcommands, each group in a module of its own."""

import typer

from fairlead import __version__
from fairlead.cli import demo, local, predict, resources

app = typer.Typer(
    help="From raw data to production and to devices: TrainingJobs and ModelDeployments on any Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)
local.register(app)
resources.register(app)
predict.register(app)
demo.register(app)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
