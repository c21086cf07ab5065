"""`fairlead logs`: of one pod, or of all pods of a job with a colored prefix for each."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from fairlead.cli.console import CommandError, colored, explained, out
from fairlead.cli.resources import FIELD_MANAGER, Namespace, split_reference
from fairlead.client import FairleadClient, LogLine
from fairlead.client.objects import canonical_kind

_COLORS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_LAUNCHER_COLOR = "bright_black"
_WIDTH = len("worker-10")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Any cluster")(logs)


def logs(
    resource: Annotated[str, typer.Argument(help="A job's name, or tj/NAME, mdep/NAME, pod/NAME.")],
    worker: Annotated[int | None, typer.Option(help="Only this worker of a training job.")] = None,
    launcher: Annotated[bool, typer.Option("--launcher", help="Only the launcher of a training job.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until the job or pod ends.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last lines of each pod.")] = None,
    namespace: Namespace = None,
) -> None:
    """Print the logs of a training job's pods, a deployment's graph server or a pod.

    Examples:

      fairlead logs -f digits              (launcher and workers, each line with its pod)

      fairlead logs digits --worker 0

      fairlead logs mdep/digits --tail 20
    """
    kind, name = split_reference(resource) if "/" in resource else ("TrainingJob", resource)
    with explained():
        if worker is not None and launcher:
            raise CommandError("got --worker and --launcher, expected one of them")
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        try:
            if canonical_kind(kind) == "TrainingJob" and worker is None and not launcher:
                print_lines(client.job_logs(name, follow=follow, tail=tail))
            else:
                for line in client.logs(kind, name, worker=worker, follow=follow, tail=tail):
                    out.print(colored(line), soft_wrap=True)
        except KeyboardInterrupt:
            out.print()


def print_lines(lines: Iterator[LogLine]) -> None:
    """Print each line after the pod that it is from; programs' own colors are kept, other escape codes are not."""
    for line in lines:
        prefix = (f"{line.source:<{_WIDTH}} │ ", color_of(line.source))
        out.print(Text.assemble(prefix, colored(line.text)), soft_wrap=True)


def color_of(source: str) -> str:
    """Return the color of a pod's lines: the same one each time, different for workers that follow each other."""
    number = source.rpartition("-")[2]
    return _COLORS[int(number) % len(_COLORS)] if number.isdecimal() else _LAUNCHER_COLOR
