"""`fairlead train`: run a folder of code as a TrainingJob, and follow it."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from fairlead import __version__
from fairlead.cli.console import CommandError, err, escape, out
from fairlead.cli.manifests import format_manifests
from fairlead.cli.resources import FIELD_MANAGER, Namespace
from fairlead.cli.watch import follow_job
from fairlead.client import FairleadClient
from rich.filesize import decimal

from fairlead_projects import preflight
from fairlead_projects.code.create import create
from fairlead_projects.code.files import CodeFiles, extract_revision, find_files
from fairlead_projects.code.job import JobOptions, choose_command, choose_name, temporary_name
from fairlead_projects.code.objects import Objects, build_objects
from fairlead_projects.explaining import explained
from fairlead_projects.options import (
    parse_command,
    parse_dataset,
    parse_environment,
    parse_launcher,
    parse_mlflow,
    parse_resources,
    parse_uri,
)

_EXAMPLES = """
Examples:

  fairlead train ./project --workers 2

  fairlead train ./project --launcher Torchrun --dataset s3://datasets/houses/v1@sha256:… --model s3://models/houses

  fairlead train ./project --image registry.example/me/train:1 --gpus 1 --command 'python3 train.py --epochs 20'

  fairlead train ./project --image registry.example/me/train:1 --check     [dim]# does it have what a job needs?[/]

  fairlead train ./project --dry-run -o yaml > job.yaml     [dim]# commit it; kubectl apply -f job.yaml[/]

  fairlead train ./project --revision v1.2 --code-uri s3://code/project

The folder is mounted at /code, read-only, and the command starts there. Hidden files, caches and what .gitignore
names are left out. What your image needs is in docs/guides/bring-your-own.md.
"""


def train(
    folder: Annotated[Path, typer.Argument(help="The folder with the code.")],
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker pods.")] = 1,
    slots: Annotated[int, typer.Option(min=0, show_default="one per GPU", help="Processes per worker.")] = 0,
    launcher: Annotated[str, typer.Option(help="Horovod or Torchrun.")] = "Horovod",
    command: Annotated[str, typer.Option(show_default="python3 train.py", help="Started in the folder.")] = "",
    image: Annotated[str, typer.Option(show_default="fairlead/trainer", help="Yours, with Fairlead's agent.")] = "",
    dataset: Annotated[str, typer.Option(help="URI or URI@sha256:…, found in $FAIRLEAD_DATASET_DIR.")] = "",
    model: Annotated[str, typer.Option(help="URI below which $FAIRLEAD_MODEL_DIR is published.")] = "",
    mlflow: Annotated[
        str, typer.Option(help="URI or URI,EXPERIMENT of the MLflow server that records the job.", show_default=False)
    ] = "",
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE; no secrets.")] = None,
    cpu: Annotated[str, typer.Option(help="CPUs of a worker, such as 2 or 500m.")] = "",
    memory: Annotated[str, typer.Option(help="Memory of a worker, such as 4Gi.")] = "",
    gpus: Annotated[int, typer.Option(min=0, max=64, show_default=False, help="NVIDIA GPUs of a worker.")] = 0,
    revision: Annotated[str, typer.Option(help="Take the folder's files from this git revision.")] = "",
    code_uri: Annotated[
        str, typer.Option(help="Publish the code below this URI; for more than 900 KiB or 1,000 files.")
    ] = "",
    name: Annotated[str, typer.Option(show_default="the folder's", help="The job's name.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Delete the job of this name first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the objects and create none of them.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Look in a pod whether the image has what the job needs; start no job.")
    ] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="The format of --dry-run: yaml.")] = "yaml",
    follow: Annotated[
        bool | None,
        typer.Option("--follow/--no-follow", show_default="on a terminal", help="Show the job until it ends."),
    ] = None,
    namespace: Namespace = None,
) -> None:
    """Run a folder of code as a TrainingJob and follow it to its end.

    Exits with 1 if the job fails.
    """
    # Longer than 40 lines: one option of the command a line.
    with explained(), tempfile.TemporaryDirectory(prefix="fairlead-code-") as scratch:
        if output != "yaml":
            raise CommandError(f"--output: got {output!r}, expected yaml")
        if check and dry_run:
            raise CommandError("got --check and --dry-run, expected one of them")
        files = extract_revision(folder, revision, Path(scratch, "code")) if revision else find_files(folder)
        chosen = name or choose_name(folder.resolve().name)
        options = JobOptions(
            name=temporary_name(chosen, "check") if check else chosen,
            image=image or f"fairlead/trainer:{__version__}",
            command=choose_command(parse_command(command), files.paths),
            launcher=parse_launcher(launcher),
            workers=workers,
            slots=slots or gpus or 1,
            dataset=parse_dataset(dataset),
            model=parse_uri("--model", model),
            mlflow=parse_mlflow(mlflow, chosen),
            environment=parse_environment(env or []),
            resources=parse_resources(cpu, memory, gpus),
        )
        objects = build_objects(options, files, parse_uri("--code-uri", code_uri))
        if dry_run:
            _print_yaml(objects)
            return
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        if check:
            sys.exit(preflight.check(client, objects))
        create(client, objects, replace)
        _report(files, options, objects)
        if follow if follow is not None else out.is_terminal:
            sys.exit(follow_job(client, options.name))


train.__doc__ = f"{train.__doc__}\n{_EXAMPLES}"


def _print_yaml(objects: Objects) -> None:
    if objects.code_uri:
        err.print(f"published the code at {escape(objects.code_uri)}", soft_wrap=True)
    sys.stdout.write(format_manifests(objects.all))


def _report(files: CodeFiles, options: JobOptions, objects: Objects) -> None:
    where = objects.code_uri or f"ConfigMap {objects.config_map and objects.config_map['metadata']['name']}"
    left_out = f", {files.left_out} left out" if files.left_out else ""
    count = f"{len(files.paths)} file{'s' if len(files.paths) > 1 else ''}, {decimal(files.size)}{left_out}"
    out.print(f"[green]✓[/] code           {count} in {escape(where)}", soft_wrap=True)
    workers = f"{options.workers} worker{'s' if options.workers > 1 else ''}"
    out.print(f"[green]✓[/] TrainingJob    [bold]{options.name}[/], {workers}, {escape(options.image)}", soft_wrap=True)
