"""`fairlead predict`: a request to a ModelDeployment, from wherever the kubeconfig works."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from fairlead.cli.cluster import Cluster
from fairlead.cli.console import CommandError, explained, out
from fairlead.cli.resources import Namespace
from fairlead.core import names


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Any cluster")(predict)


def predict(
    name: Annotated[str, typer.Argument(help="The ModelDeployment.")],
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, help="JSON: a V2 request, or a nested list.")],
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
) -> None:
    """Send a request to a model deployment and print its answer."""
    with explained():
        content = _read_json(file)
        cluster = Cluster(namespace)
        path = f"/v2/models/{name}"
        if isinstance(content, list):
            metadata = cluster.request_service(name, names.SERVING_PORT, "GET", path)
            content = build_request(metadata["inputs"], content)
        answer = cluster.request_service(name, names.SERVING_PORT, "POST", f"{path}/infer", content)
    if as_json:
        out.print_json(data=answer)
    else:
        _print_answer(answer)


def build_request(inputs: list[dict[str, Any]], values: list[Any]) -> dict[str, Any]:
    """Return the V2 request for a model with one input, from rows of values.

    Raises CommandError when the model has several inputs: then the file must hold a whole request.
    """
    if len(inputs) != 1:
        got = ", ".join(tensor["name"] for tensor in inputs)
        raise CommandError(f"the model takes the inputs {got}; expected a whole V2 request in the file")
    tensor = inputs[0]
    return {
        "inputs": [{"name": tensor["name"], "datatype": tensor["datatype"], "shape": _shape(values), "data": values}]
    }


def _shape(values: Any) -> list[int]:
    return [len(values), *_shape(values[0])] if isinstance(values, list) and values else []


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise CommandError(f"{file}: expected JSON: {error}") from None


def _print_answer(answer: dict[str, Any]) -> None:
    """Print a row for each row of the first output, with the place of its largest value."""
    for output in answer["outputs"]:
        rows, width = output["shape"][0], len(output["data"]) // max(output["shape"][0], 1)
        table = Table(title=f"{output['name']}  {output['datatype']} {output['shape']}", title_justify="left")
        for column in ("row", "largest at", "values"):
            table.add_column(column, overflow="fold")
        for row in range(rows):
            values = output["data"][row * width : (row + 1) * width]
            best = max(range(len(values)), key=lambda index: values[index]) if values else ""
            table.add_row(str(row), str(best), " ".join(f"{value:.4g}" for value in values))
        out.print(table)
