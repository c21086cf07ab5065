"""The graph's configuration: graph.json, read and validated before anything is loaded."""

from pathlib import Path

from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import FILE, GraphDocument

from .errors import InvalidGraph


def load_spec(path: Path) -> GraphDocument:
    """Read and validate graph.json; raise InvalidGraph naming the field."""
    try:
        with path.open("rb") as file:
            content = file.read(GraphDocument.max_bytes + 1)
    except OSError as error:
        raise InvalidGraph(str(path), f"cannot be read: {error.strerror}") from None
    try:
        return GraphDocument.parse_json(content, FILE)
    except ContractError as error:
        raise InvalidGraph.from_contract(error) from None
