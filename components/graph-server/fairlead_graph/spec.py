"""The graph's configuration: graph.json, read and validated before anything is loaded."""

from pathlib import Path

from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import FILE, GraphDocument

from .errors import InvalidGraph
from .roles import MODEL_METHODS, ROLES


def load_spec(path: Path) -> GraphDocument:
    """Read and validate graph.json; raise InvalidGraph naming the field."""
    try:
        with path.open("rb") as file:
            content = file.read(GraphDocument.max_bytes + 1)
    except OSError as error:
        raise InvalidGraph(str(path), f"cannot be read: {error.strerror}") from None
    try:
        document = GraphDocument.parse_json(content, FILE)
    except ContractError as error:
        raise InvalidGraph.from_contract(error) from None
    for node in document.graph.walk():
        if node.model_uri and not ROLES[node.type].methods <= MODEL_METHODS:
            problem = f"is a {node.type} with a modelUri, expected an endpoint: models lack its method"
            raise InvalidGraph(f"node {node.name}", problem)
    return document
