"""The commands `apply`, `get`, `describe`, `logs` and `delete`."""

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli import tables
from fairlead.cli.console import CommandError, explained, out
from fairlead.cli.manifests import read_manifests
from fairlead.client import FairleadClient, Object
from fairlead.client.objects import canonical_kind

_PANEL = "Any cluster"
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Defaults to the kubeconfig's namespace.")]
Kinds = ("TrainingJob", "ModelDeployment")
FIELD_MANAGER = "fairlead-cli"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (apply, get, describe, logs, delete):
        app.command(rich_help_panel=_PANEL)(command)


def apply(
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, help="A YAML file, or a folder of YAML files.")],
    namespace: Namespace = None,
) -> None:
    """Apply the resources in a file or folder."""
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        for obj in read_manifests(file):
            applied = client.apply(obj)
            out.print(f"{applied['kind']} [bold]{applied['metadata']['name']}[/] applied")


def get(
    kind: Annotated[str, typer.Argument(help="tj, mdep or any kind.")] = "",
    namespace: Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="List all namespaces.")] = False,
) -> None:
    """List training jobs and model deployments, or the objects of a kind."""
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        for each in [canonical_kind(kind)] if kind else Kinds:
            tables.print_list(each, client.list(each, everywhere=everywhere))


def describe(
    resource: Annotated[str, typer.Argument(help="tj/NAME or mdep/NAME.")], namespace: Namespace = None
) -> None:
    """Show a resource's conditions, progress, provenance, pods and events."""
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        kind, name = split_reference(resource)
        obj = client.get(kind, name)
        status = obj.get("status", {})
        out.print(f"[bold]{obj['kind']} {name}[/]  namespace {obj['metadata']['namespace']}")
        tables.print_conditions(status.get("conditions", []))
        tables.print_facts(status)
        tables.print_pods(client.pods(kind, name))
        tables.print_events([e for e in client.list("Event") if e.get("involvedObject", {}).get("name") == name])


def logs(
    resource: Annotated[str, typer.Argument(help="tj/NAME, mdep/NAME or pod/NAME.")],
    worker: Annotated[int | None, typer.Option(help="The worker of a training job; default: the launcher.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until the container ends.")] = False,
    namespace: Namespace = None,
) -> None:
    """Print the log of a job's launcher or worker, a deployment's graph server or a pod."""
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        for line in client.logs(*split_reference(resource), worker=worker, follow=follow):
            out.print(line, markup=False, soft_wrap=True)


def delete(
    resources: Annotated[list[str] | None, typer.Argument(help="tj/NAME, mdep/NAME, …")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", exists=True, help="A YAML file, or a folder."),
    ] = None,
    namespace: Namespace = None,
) -> None:
    """Delete resources and everything that they own."""
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        references = [split_reference(resource) for resource in resources or []]
        targets: list[Object] = [{"kind": kind, "metadata": {"name": name}} for kind, name in references]
        if file:
            targets += read_manifests(file)
        if not targets:
            raise CommandError("got no resources, expected resources such as tj/digits, or -f FILE")
        for obj in targets:
            kind, meta = obj["kind"], obj["metadata"]
            client.objects.delete(kind, meta["name"], meta.get("namespace"), obj.get("apiVersion"))
            out.print(f"{kind} [bold]{meta['name']}[/] deleted")


def split_reference(resource: str) -> tuple[str, str]:
    """Split KIND/NAME; raises CommandError."""
    kind, slash, name = resource.partition("/")
    if not (kind and slash and name):
        raise CommandError(f"got {resource!r}, expected KIND/NAME, such as tj/digits")
    return kind, name
