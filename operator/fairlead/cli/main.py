"""The command `fairlead`: its subcommands, each group in a module of its own, and those of other distributions."""

from importlib.metadata import entry_points

import typer

from fairlead import __version__
from fairlead.cli import predict, resources
from fairlead.cli.console import err, escape

PLUGINS = "fairlead.commands"
"""The group of entry points that add commands: each names a function that accepts the typer application."""


def main() -> None:
    """Run the command line."""
    build_app()()


def build_app() -> typer.Typer:
    """Return the application with the commands of this distribution and of the plugins that are installed."""
    app = typer.Typer(
        help="From raw data to production and to devices: TrainingJobs and ModelDeployments on any Kubernetes.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
    )
    _add_plugins(app)
    resources.register(app)
    predict.register(app)
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _add_plugins(app: typer.Typer) -> None:
    """Let each plugin add its commands; report one that fails and go on: the other commands do not need it."""
    for plugin in entry_points(group=PLUGINS):
        try:
            plugin.load()(app)
        except Exception as error:  # noqa: BLE001 - the plugin is another distribution's code: anything may fail
            owner = plugin.dist.name if plugin.dist else plugin.value
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            err.print(f"[yellow]warning:[/] the commands of {owner} are missing: {escape(reason)}", soft_wrap=True)
