"""The commands `apply`, `get`, `describe` and `delete`."""

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli import tables
from fairlead.cli.console import CommandError, explained, out
from fairlead.cli.manifests import read_manifests
from fairlead.cli.watch import watch_jobs
from fairlead.client import FairleadClient, Object
from fairlead.client.objects import canonical_kind

_PANEL = "Any cluster"
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Defaults to the kubeconfig's namespace.")]
Kinds = ("TrainingJob", "Sweep", "ModelDeployment")
FIELD_MANAGER = "fairlead-cli"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (apply, get, describe, delete):
        app.command(rich_help_panel=_PANEL)(command)


def apply(
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, help="A YAML file, or a folder of YAML files.")],
    namespace: Namespace = None,
) -> None:
    """Apply the resources in a file or folder.

    Examples:

      fairlead apply -f job.yaml
    """
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        for obj in read_manifests(file):
            applied = client.apply(obj)
            out.print(f"{applied['kind']} [bold]{applied['metadata']['name']}[/] applied")


def get(
    kind: Annotated[str, typer.Argument(help="tj, sw, mdep or any kind.")] = "",
    name: Annotated[str, typer.Argument(help="One object; default: all.")] = "",
    namespace: Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="List all namespaces.")] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Show training jobs as they run; a named one until its end."),
    ] = False,
) -> None:
    """List training jobs, sweeps and model deployments, or the objects of a kind.

    Examples:

      fairlead get

      fairlead get tj --watch

      fairlead get tj digits --watch
    """
    with explained():
        client = FairleadClient(namespace, field_manager=FIELD_MANAGER)
        if watch:
            _watch(client, kind, name, everywhere)
        elif name:
            tables.print_list(canonical_kind(kind), [client.get(canonical_kind(kind), name)])
        else:
            for each in [canonical_kind(kind)] if kind else Kinds:
                tables.print_list(each, client.list(each, everywhere=everywhere))


def _watch(client: FairleadClient, kind: str, name: str, everywhere: bool) -> None:
    if canonical_kind(kind or "tj") != "TrainingJob":
        raise CommandError(f"--watch: got the kind {kind!r}, expected tj")
    try:
        watch_jobs(client, name or None, everywhere=everywhere)
    except KeyboardInterrupt:
        out.print()


def describe(
    resource: Annotated[str, typer.Argument(help="tj/NAME, sw/NAME or mdep/NAME.")], namespace: Namespace = None
) -> None:
    """Show a resource's conditions, progress, provenance, pods and events.

    Examples:

      fairlead describe tj/digits
    """
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


def delete(
    resources: Annotated[list[str] | None, typer.Argument(help="tj/NAME, sw/NAME, mdep/NAME, …")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", exists=True, help="A YAML file, or a folder."),
    ] = None,
    namespace: Namespace = None,
) -> None:
    """Delete resources and everything that they own.

    Examples:

      fairlead delete tj/digits mdep/digits
    """
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
