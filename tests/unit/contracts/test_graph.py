"""graph.json: the graph server reads what the operator wrote, within bounds."""

import json
from typing import Any

import pytest
from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import MAX_DEPTH, MAX_NODES, Endpoint, GraphDocument, GraphNode

DIGEST = "sha256:" + "ab" * 32
CLASSIFIER = GraphNode(name="classifier", type="MODEL", endpoint=Endpoint(host="127.0.0.1", port=9001))
SCALER = GraphNode(name="scaler", type="TRANSFORMER", model_uri="s3://m/s", digest=DIGEST, children=(CLASSIFIER,))
DOCUMENT = GraphDocument(deployment="digits", predictor="main", graph=SCALER)
WRITTEN = {
    "deployment": "digits",
    "predictor": "main",
    "namespace": "default",
    "graph": {
        "name": "scaler", "type": "TRANSFORMER", "modelUri": "s3://m/s", "digest": DIGEST,
        "children": [
            {"name": "classifier", "type": "MODEL", "children": [],
             "endpoint": {"host": "127.0.0.1", "port": 9001, "type": "REST"}},
        ],
    },
}  # fmt: skip
NODE: dict[str, Any] = {"name": "m", "type": "MODEL", "modelUri": "file:///m"}


def parse(document: Any) -> GraphDocument:
    return GraphDocument.parse_json(document if isinstance(document, str) else json.dumps(document), "graph.json")


def chain(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {**NODE, "name": "node-0"}
    for level in range(1, depth):
        node = {**NODE, "type": "TRANSFORMER", "name": f"node-{level}", "children": [node]}
    return node


def tree(width: int, depth: int, name: str = "n") -> dict[str, Any]:
    children = [tree(width, depth - 1, f"{name}-{index}") for index in range(width)] if depth else []
    return {**NODE, "name": name} if not children else {
        "name": name, "type": "COMBINER", "endpoint": {"host": "h", "port": 1}, "children": children,
    }  # fmt: skip


def test_written_values_are_read_back() -> None:
    assert json.loads(DOCUMENT.to_text()) == WRITTEN
    assert parse(DOCUMENT.to_text()) == DOCUMENT
    assert parse(WRITTEN | {"schema": "fairlead.dev/graph/v1", "newer": 1}) == DOCUMENT
    assert [node.name for node in DOCUMENT.graph.walk()] == ["scaler", "classifier"]


def test_the_largest_graph_is_read() -> None:
    assert parse(WRITTEN | {"graph": chain(MAX_DEPTH)}).graph.depth() == MAX_DEPTH
    assert len(list(parse(WRITTEN | {"graph": tree(15, 2)}).graph.walk())) == 241


REJECTED = [
    ("{", "graph.json: got invalid JSON", "cut off"),
    ("[" * 5000, "graph.json: got invalid JSON", "too deep for any reader"),
    (" " * (1 << 20) + "{}", "graph.json: got 1048578 bytes, expected at most 1048576", "larger than a ConfigMap"),
    ({**WRITTEN, "schema": "fairlead.dev/graph/v2"}, "schema: got 'fairlead.dev/graph/v2'", "another version"),
    ({**WRITTEN, "deployment": ""}, "deployment: got '', expected a string that is not empty", "no name"),
    ({"graph": NODE}, "deployment: got nothing, expected a value", "a part alone"),
    ({**WRITTEN, "graph": chain(MAX_DEPTH + 1)}, "graph: got 9 levels, expected at most 8", "too deep"),
    ({**WRITTEN, "graph": chain(60)}, "graph: got 60 levels, expected at most 8", "much too deep"),
    ({**WRITTEN, "graph": tree(16, 2)}, f"graph: got 273 nodes, expected at most {MAX_NODES}", "too many nodes"),
    ({**WRITTEN, "graph": tree(17, 1)}, "graph.children: got [{", "too many children"),
    ({**WRITTEN, "graph": {**NODE, "name": "x" * 64}}, "graph.name: got 'xxx", "too long a name"),
    (
        {**WRITTEN, "graph": {**NODE, "modelUri": "/m"}},
        "graph.modelUri: got '/m', expected a string that matches",
        "no URI",
    ),
    ({**WRITTEN, "graph": {**NODE, "modelUri": "s3://" + "x" * 2048}}, "graph.modelUri: got 's3://xx", "too long"),
    (
        {**WRITTEN, "graph": {**NODE, "digest": "md5:1"}},
        "graph.digest: got 'md5:1', expected sha256: and 64",
        "no digest",
    ),
    (
        {**WRITTEN, "graph": {**NODE, "uri": 1}},
        "graph.uri: got 1, expected one of the fields children, digest",
        "misspelt",
    ),
    ({**WRITTEN, "graph": {**NODE, "children": "none"}}, "graph.children: got 'none', expected a list", "no list"),
    (
        {**WRITTEN, "graph": {**NODE, "type": "ROUTER"}},
        "graph.children: got 0 children, expected at least 1",
        "childless",
    ),
    (
        {**WRITTEN, "graph": {**chain(2), "endpoint": {"host": "h", "port": 1}}},
        "graph: got {'modelUri': ",
        "two sources",
    ),
    (
        {**WRITTEN, "graph": {**chain(2), "type": "ROUTER"}},
        "graph.type: got ROUTER with a modelUri, expected one of MODEL, TRANSFORMER, OUTPUT_TRANSFORMER",
        "a source that cannot run it",
    ),
    (
        {**WRITTEN, "graph": {**NODE, "modelUri": None, "endpoint": {"host": "h", "port": "1"}}},
        "graph.endpoint.port: got '1', expected an integer",
        "coercion",
    ),
    (
        {**WRITTEN, "graph": {**chain(2), "name": "node-0"}},
        "graph: got 2 nodes named node-0, expected unique",
        "two alike",
    ),
]


@pytest.mark.parametrize(("document", "message", "reason"), REJECTED, ids=[reason for *_, reason in REJECTED])
def test_a_graph_out_of_bounds_is_rejected_by_field(document: Any, message: str, reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse(document)
    assert str(caught.value).startswith(message)
