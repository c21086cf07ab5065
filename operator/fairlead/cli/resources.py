"""`fairlead apply`, `get`, `describe`, `logs`, `delete`: resources of any cluster."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from fairlead.cli.cluster import Cluster, read_manifests
from fairlead.cli.console import CommandError, escape, explained, out, styled
from fairlead.core import names

_PANEL = "Any cluster"
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Default: the kubeconfig's.")]
Kinds = ("TrainingJob", "ModelDeployment")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (apply, get, describe, logs, delete):
        app.command(rich_help_panel=_PANEL)(command)


def apply(
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, help="A YAML file, or a folder of them.")],
    namespace: Namespace = None,
) -> None:
    """Apply the resources of a file or folder."""
    with explained():
        cluster = Cluster(namespace)
        for obj in read_manifests(file):
            applied = cluster.apply(obj)
            out.print(f"{applied['kind']} [bold]{applied['metadata']['name']}[/] applied")


def get(
    kind: Annotated[str, typer.Argument(help="tj, mdep, or any kind.")] = "",
    namespace: Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A")] = False,
) -> None:
    """List training jobs and model deployments, or the objects of one kind."""
    with explained():
        cluster = Cluster(namespace)
        for each in [kind] if kind else Kinds:
            _print_list(each, cluster.list(each, everywhere=everywhere))


def describe(
    resource: Annotated[str, typer.Argument(help="tj/NAME or mdep/NAME.")], namespace: Namespace = None
) -> None:
    """Tell what is known of a resource: conditions, progress, provenance, pods, events."""
    with explained():
        cluster = Cluster(namespace)
        kind, name = split_reference(resource)
        obj = cluster.get(kind, name)
        status = obj.get("status", {})
        out.print(f"[bold]{obj['kind']} {name}[/]  namespace {obj['metadata']['namespace']}")
        _print_conditions(status.get("conditions", []))
        _print_facts(status)
        label = names.JOB if obj["kind"] == "TrainingJob" else names.DEPLOYMENT
        _print_pods(cluster.list("Pod", f"{label}={name}"))
        _print_events([e for e in cluster.list("Event") if e.get("involvedObject", {}).get("name") == name])


def logs(
    resource: Annotated[str, typer.Argument(help="tj/NAME, mdep/NAME or pod/NAME.")],
    worker: Annotated[int | None, typer.Option(help="A training job's worker; without it the launcher.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
    namespace: Namespace = None,
) -> None:
    """Print the log of a job's launcher or worker, of a deployment's graph server, or of a pod."""
    with explained():
        cluster = Cluster(namespace)
        pod = _find_pod(cluster, *split_reference(resource), worker)
        container = pod["spec"]["containers"][0]["name"]
        for line in cluster.follow_log(pod["metadata"]["name"], container, follow):
            out.print(line, markup=False, soft_wrap=True)


def delete(
    resources: Annotated[list[str] | None, typer.Argument(help="tj/NAME, mdep/NAME, …")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", exists=True, help="What `apply -f` applied.")] = None,
    namespace: Namespace = None,
) -> None:
    """Delete resources, and with them everything that they own."""
    with explained():
        cluster = Cluster(namespace)
        targets = [split_reference(resource) for resource in resources or []]
        if file:
            targets += [(obj["kind"], obj["metadata"]["name"]) for obj in read_manifests(file)]
        if not targets:
            raise CommandError("nothing named; expected resources such as tj/digits, or -f FILE")
        for kind, name in targets:
            cluster.delete(kind, name)
            out.print(f"{kind} [bold]{name}[/] deleted")


def split_reference(resource: str) -> tuple[str, str]:
    """Split kind/name; raises CommandError."""
    kind, slash, name = resource.partition("/")
    if not (kind and slash and name):
        raise CommandError(f"got {resource!r}, expected KIND/NAME, such as tj/digits")
    return kind, name


def _find_pod(cluster: Cluster, kind: str, name: str, worker: int | None) -> dict[str, Any]:
    if kind.lower() in ("pod", "po", "pods"):
        return cluster.get("Pod", name)
    if cluster.get(kind, name)["kind"] == "TrainingJob":
        role = f"{names.ROLE}={names.LAUNCHER}" if worker is None else f"{names.WORKER_INDEX}={worker}"
        found = cluster.list("Pod", f"{names.JOB}={name},{role}")
        if worker is not None:
            found = [pod for pod in found if pod["metadata"]["labels"][names.ROLE] == names.WORKER]
    else:
        found = cluster.list("Pod", f"{names.DEPLOYMENT}={name}")
    if not found:
        raise CommandError(f"{kind}/{name} has no such pod now")
    return found[0]


def _print_list(kind: str, items: list[dict[str, Any]]) -> None:
    columns: dict[str, Any] = {
        "TrainingJob": {
            "PHASE": lambda s: styled(s.get("phase", "")),
            "WORKERS": lambda s: f"{s.get('workers', {}).get('ready', 0)}/{s.get('workers', {}).get('desired', 0)}",
            "STEP": lambda s: _steps(s.get("progress", {})),
            "LOSS": lambda s: _number(s.get("progress", {}).get("metrics", {}).get("loss")),
            "MODEL": lambda s: s.get("modelVersion", ""),
        },
        "ModelDeployment": {
            "READY": lambda s: styled(_condition(s, "Ready").get("status", "Unknown")),
            "REASON": lambda s: _condition(s, "Ready").get("reason", ""),
            "REPLICAS": lambda s: str(s.get("replicas", 0)),
            "URL": lambda s: s.get("url", ""),
        },
    }
    kind = items[0]["kind"] if items else kind
    chosen = columns.get(kind, {})
    table = Table(box=None, title=kind, title_justify="left", title_style="bold")
    for column in ("NAMESPACE", "NAME", *chosen):
        table.add_column(column)
    for item in items:
        cells = [render(item.get("status", {})) for render in chosen.values()]
        table.add_row(item["metadata"].get("namespace", ""), item["metadata"]["name"], *cells)
    out.print(table if items else f"[bold]{kind}[/]: none")


def _print_conditions(conditions: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="dim")
    for column in ("CONDITION", "STATUS", "REASON", "MESSAGE"):
        table.add_column(column, overflow="fold")
    for condition in conditions:
        status = styled(condition["status"])
        table.add_row(condition["type"], status, condition["reason"], escape(condition["message"]))
    out.print(table)


def _print_facts(status: dict[str, Any]) -> None:
    if progress := status.get("progress"):
        metrics = ", ".join(f"{key} {_number(value)}" for key, value in progress.get("metrics", {}).items())
        rate = _number(progress.get("samplesPerSecond"))
        out.print(f"progress   step {_steps(progress)}, {rate} samples/s, {metrics}")
    if url := status.get("url"):
        out.print(f"url        {url}")
    for artifact in status.get("provenance", []):
        out.print(f"provenance {artifact['name']:<12} {artifact['digest'][:19]}…  {artifact['uri']}")


def _print_pods(pods: list[dict[str, Any]]) -> None:
    for pod in pods:
        phase = styled(pod["status"].get("phase", ""))
        out.print(f"pod        {pod['metadata']['name']}  {phase}  {pod['spec'].get('nodeName', '')}")


def _print_events(events: list[dict[str, Any]]) -> None:
    for event in events:
        out.print(f"event      [yellow]{event['reason']}[/]: {escape(event.get('message', ''))}")


def _condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    found = [condition for condition in status.get("conditions", []) if condition["type"] == type_]
    return found[0] if found else {}


def _steps(progress: dict[str, Any]) -> str:
    return f"{progress['step']}/{progress.get('totalSteps', '?')}" if "step" in progress else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
