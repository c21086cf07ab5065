"""The command `fairlead` with its subcommands and those of other distributions."""

from importlib.metadata import entry_points

import typer

from fairlead import __version__
from fairlead.cli import doctor, logs, pipeline, predict, resources, rollout, sweep
from fairlead.cli.console import err, escape

PLUGINS = "fairlead.commands"
"""The entry point group of plugins: functions that accept the typer application and add commands to it."""


def main() -> None:
    """Run the command line."""
    build_app()()


def build_app() -> typer.Typer:
    """Return the application with the commands of this distribution and of installed plugins."""
    app = typer.Typer(
        help="Manage TrainingJobs, Sweeps and ModelDeployments on any Kubernetes cluster.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
    )
    _add_plugins(app)
    resources.register(app)
    logs.register(app)
    doctor.register(app)
    pipeline.register(app)
    predict.register(app)
    rollout.register(app)
    sweep.register(app)
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _add_plugins(app: typer.Typer) -> None:
    """Add the commands of each plugin; a plugin that fails is reported and skipped."""
    for plugin in entry_points(group=PLUGINS):
        try:
            plugin.load()(app)
        except Exception as error:  # noqa: BLE001 - a plugin is code of another distribution and may raise anything
            owner = plugin.dist.name if plugin.dist else plugin.value
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            err.print(f"[yellow]warning:[/] commands of {owner} are not available: {escape(reason)}", soft_wrap=True)
