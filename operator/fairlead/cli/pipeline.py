"""The command `fairlead pipeline`: becomes `fairlead-pipelines`, which has an environment of its own."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import typer

from fairlead.cli.console import fail

PROGRAM = "fairlead-pipelines"


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command("pipeline", context_settings=settings, add_help_option=False)(pipeline)


def pipeline(context: typer.Context) -> None:
    """Run a Kubeflow pipeline on this machine, or one of its steps: `fairlead pipeline run FILE --help`."""
    _replace_process(context.args or ["--help"])


def _replace_process(arguments: list[str]) -> NoReturn:
    """Become the program. Its tasks find the components' commands where `fairlead setup` has put them."""
    home = Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead")
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{home / 'bin'}"
    program = shutil.which(PROGRAM)
    if program is None:
        fail(f"{PROGRAM}: not found; run `fairlead setup` in a checkout, or install fairlead-pipelines")
    os.execv(program, [PROGRAM, *arguments])
