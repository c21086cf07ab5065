"""The output of `fairlead get` and `fairlead describe`."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from fairlead.cli.console import escape, out, styled

Object = dict[str, Any]


def print_list(kind: str, items: Sequence[Object]) -> None:
    """Print a table of objects; Fairlead's own kinds have additional columns."""
    columns: Object = {
        "TrainingJob": {
            "PHASE": lambda s: styled(s.get("phase", "")),
            "WORKERS": lambda s: f"{s.get('workers', {}).get('ready', 0)}/{s.get('workers', {}).get('desired', 0)}",
            "STEP": lambda s: _steps(s.get("progress", {})),
            "LOSS": lambda s: _number(s.get("progress", {}).get("metrics", {}).get("loss")),
            "MODEL": lambda s: s.get("modelVersion", ""),
        },
        "Sweep": {
            "PHASE": lambda s: styled(s.get("phase", "")),
            "TRIALS": lambda s: str(s.get("counts", {}).get("total", 0)),
            "RUNNING": lambda s: str(s.get("counts", {}).get("running", 0)),
            "PRUNED": lambda s: str(s.get("counts", {}).get("pruned", 0)),
            "FAILED": lambda s: str(s.get("counts", {}).get("failed", 0)),
            "BEST": lambda s: _number(s.get("best", {}).get("value")),
            "TRIAL": lambda s: s.get("best", {}).get("job", ""),
        },
        "ModelDeployment": {
            "READY": lambda s: styled(_condition(s, "Ready").get("status", "Unknown")),
            "REASON": lambda s: _condition(s, "Ready").get("reason", ""),
            "REPLICAS": lambda s: str(s.get("replicas", 0)),
            "TRAFFIC": lambda s: escape(_traffic(s)),
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


def print_conditions(conditions: list[Object]) -> None:
    """Print the conditions as a table."""
    table = Table(box=None, header_style="dim")
    for column in ("CONDITION", "STATUS", "REASON", "MESSAGE"):
        table.add_column(column, overflow="fold")
    for condition in conditions:
        status = styled(condition["status"])
        table.add_row(condition["type"], status, condition["reason"], escape(condition["message"]))
    out.print(table)


def build_predictors(status: Object) -> Table | None:
    """Return a table of several predictors: what each gets, what is in force, and what was measured."""
    split = status.get("traffic", {})
    if not split and not _are_several(status):
        return None
    table = Table(box=None, header_style="dim")
    for column in ("PREDICTOR", "ROLE"):
        table.add_column(column, no_wrap=True)
    for column in ("READY", "REQUESTS", "COPIES", "IN FORCE", "COUNT", "ERRORS", "P99", "AGREED"):
        table.add_column(column, justify="right", no_wrap=True)
    for predictor in status.get("predictors", []):
        shadow, measured = predictor.get("shadow"), predictor.get("measured", {})
        confirmed = predictor.get("shadowConfirmed" if shadow else "trafficConfirmed")
        p99, compared = measured.get("p99Seconds"), measured.get("compared", 0)
        table.add_row(
            escape(predictor["name"]),
            "entry" if predictor["name"] == split.get("entry") else "shadow" if shadow else "",
            f"{predictor.get('ready', 0)}/{predictor.get('replicas', 0)}",
            "" if shadow else f"{predictor.get('traffic', 0)} %",
            f"{shadow} %" if shadow else "",
            "" if confirmed is None else f"{confirmed} %",
            f"{measured.get('requests', 0):,}" if split else "",
            f"{measured.get('errors', 0):,}" if split else "",
            "" if p99 is None else f"{p99 * 1000:.4g} ms",
            f"{measured.get('agreed', 0):,}/{compared:,}" if compared else "",
        )
    return table


def print_facts(status: Object) -> None:
    """Print progress, the best trial, URL, predictors, drift and provenance, if available."""
    if progress := status.get("progress"):
        metrics = ", ".join(f"{key} {_number(value)}" for key, value in progress.get("metrics", {}).items())
        rate = _number(progress.get("samplesPerSecond"))
        out.print(f"progress   step {_steps(progress)}, {rate} samples/s, {metrics}")
    if best := status.get("best"):
        values = ", ".join(f"{name} {value}" for name, value in best.get("parameters", {}).items())
        out.print(f"best       {best['job']}  {_number(best['value'])}  {escape(values)}")
    if url := status.get("url"):
        out.print(f"url        {url}")
    if predictors := build_predictors(status):
        out.print(predictors)
    if (drift := status.get("drift")) and drift.get("worst"):
        print_drift(drift)
    for artifact in status.get("provenance", []):
        out.print(f"provenance {artifact['name']:<12} {artifact['digest'][:19]}…  {artifact['uri']}")


def print_drift(drift: Object) -> None:
    """Print the columns that differ most from the training data."""
    since = f", drifted since {escape(drift['since'])}" if drift.get("since") else ""
    columns = f"{drift.get('exceeded', 0)} of {drift.get('columns', 0)} columns"
    out.print(f"drift      {drift.get('rows', 0):,} rows, {columns}{since}")
    table = Table(box=None, header_style="dim")
    for column in ("PREDICTOR", "NODE", "TENSOR"):
        table.add_column(column)
    for column in ("COLUMN", "PSI", "CERTAIN ABOVE"):
        table.add_column(column, justify="right")
    for each in drift["worst"]:
        table.add_row(
            escape(each["predictor"]),
            escape(each["node"]),
            escape(f"{each['side']} {each['tensor']}"),
            str(each["column"]),
            _number(each["psi"]),
            _number(each["criticalPsi"]),
        )
    out.print(table)


def print_pods(pods: Sequence[Object]) -> None:
    """Print the name, phase and node of each pod."""
    for pod in pods:
        phase = styled(pod["status"].get("phase", ""))
        out.print(f"pod        {pod['metadata']['name']}  {phase}  {pod['spec'].get('nodeName', '')}")


def print_events(events: list[Object]) -> None:
    """Print a line for each event."""
    for event in events:
        out.print(f"event      [yellow]{event['reason']}[/]: {escape(event.get('message', ''))}")


def _condition(status: Object, type_: str) -> Object:
    found = [condition for condition in status.get("conditions", []) if condition["type"] == type_]
    return found[0] if found else {}


def _are_several(status: Object) -> bool:
    """Return whether there are several predictors; in Seldon Core, nothing else is known of how they are split."""
    return len(status.get("predictors", [])) > 1


def _traffic(status: Object) -> str:
    """Return what each of several predictors answers, and after a tilde of how much it gets copies."""
    if not status.get("traffic") and not _are_several(status):
        return ""
    return ", ".join(
        f"{each['name']} ~{each['shadow']} %" if each.get("shadow") else f"{each['name']} {each.get('traffic', 0)} %"
        for each in status.get("predictors", [])
    )


def _steps(progress: Object) -> str:
    return f"{progress['step']}/{progress.get('totalSteps', '?')}" if "step" in progress else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
