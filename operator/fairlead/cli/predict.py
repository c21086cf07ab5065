"""`fairlead predict`: send a request to a ModelDeployment."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from fairlead.cli.console import CommandError, explained, out
from fairlead.cli.resources import FIELD_MANAGER, Namespace
from fairlead.client import FairleadClient


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Any cluster")(predict)


def predict(
    name: Annotated[str, typer.Argument(help="The ModelDeployment.")],
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, help="JSON: a V2 request or a nested list.")],
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response as JSON.")] = False,
) -> None:
    """Send a request to a model deployment and print the response.

    A deployment that asks for an API key gets the one in FAIRLEAD_API_KEY.

    Examples:

      fairlead predict digits -f request.json
      FAIRLEAD_API_KEY="$(cat key)" fairlead predict digits -f request.json
    """
    with explained():
        content = _read_json(file)
        response = FairleadClient(namespace, field_manager=FIELD_MANAGER).predict(name, content)
    if as_json:
        out.print_json(data=response)
    else:
        _print_response(response)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise CommandError(f"{file}: expected JSON: {error}") from None


def _print_response(response: dict[str, Any]) -> None:
    """Print a table for each output, with the index of the largest value of each row."""
    for output in response["outputs"]:
        rows, width = output["shape"][0], len(output["data"]) // max(output["shape"][0], 1)
        table = Table(title=f"{output['name']}  {output['datatype']} {output['shape']}", title_justify="left")
        for column in ("row", "largest at", "values"):
            table.add_column(column, overflow="fold")
        for row in range(rows):
            values = output["data"][row * width : (row + 1) * width]
            best = max(range(len(values)), key=lambda index: values[index]) if values else ""
            table.add_row(str(row), str(best), " ".join(f"{value:.4g}" for value in values))
        out.print(table)
