"""Invalid graphs: the error names the node or field, and the process exits with the reason in its termination log."""

import io
import json
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_graph.errors import InvalidGraph
from fairlead_graph.graph import build_graph
from fairlead_graph.models import fetch_models
from fairlead_graph.nodes import Resources
from fairlead_graph.settings import NodeSettings
from fairlead_graph.spec import load_spec

from tests.support import onnx_models as onnx

GOOD = onnx.scale(2.0, ["n", 3])
W = np.ones((3, 2), np.float32)
DIGEST = "sha256:" + 64 * "0"


class _Bomb:
    """A pickle that writes a file if it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.trace, "w"))


def _external(location: str) -> bytes:
    return onnx.model(
        [onnx.node("MatMul", ["x", "w"], ["y"])],
        [("x", "FP32", ["n", 3])],
        [("y", "FP32", ["n", 2])],
        [onnx.external_tensor("w", W, location)],
    )


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"\x80\x02.")
    return buffer.getvalue()


def rejection(folder: Path, graph: Any) -> str:
    """Load an invalid graph; return the error message."""
    file = folder / "graph.json"
    content = {"deployment": "digits", "predictor": "main", "namespace": "default", "graph": graph}
    file.write_text(graph if isinstance(graph, str) else json.dumps(content))
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidGraph) as caught:
        spec = load_spec(file).graph
        models = fetch_models(spec, Path(tempfile.mkdtemp(dir=folder)))
        build_graph(spec, Resources(NodeSettings(), pool, models, lambda at, step: None))
    return str(caught.value)


def test_an_invalid_graph_ends_the_process_with_a_termination_message(
    start: Callable[..., Any], publish_model: Callable[..., str], tmp_path: Path
) -> None:
    message, uri = tmp_path / "termination", publish_model("bad", GOOD[:-20])
    graph = {"name": "classifier", "type": "MODEL", "modelUri": uri}
    server = start(graph, FAIRLEAD_TERMINATION_LOG=str(message))
    assert server.process.wait(60) == 1, server.log.read_text()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert lines[-1]["message"] == "invalid graph"
    failure = json.loads(message.read_text())["failure"]
    assert failure["reason"] == "InvalidGraph"
    assert failure["message"] == f"{lines[-1]['at']}: {lines[-1]['reason']}"
    assert failure["message"].startswith(f"node classifier: modelUri {uri}: model.onnx is truncated")


MODELS = [
    ({"model.onnx": GOOD[:-20]}, "model.onnx is truncated or not ONNX"),
    ({"model.onnx": GOOD[:30]}, "model.onnx is truncated or not ONNX"),
    ({"model.onnx": b"\x08"}, "model.onnx is truncated or not ONNX: "),
    ({"model.onnx": b"hello, I am no model"}, "not ONNX"),
    ({"model.onnx": b"\x00" * 64}, "model.onnx is truncated or not ONNX"),
    ({"model.onnx": b'{"a": 1}'}, "not ONNX"),
    ({"model.onnx": b""}, "model.onnx is empty"),
    ({"model.onnx": onnx.number(1, 8)}, "model.onnx is not ONNX: no model with an IR version, an opset and a graph"),
    ({"model.onnx": _zip()}, "model.onnx is a zip archive"),
    ({"model.onnx": _external("../../secret")}, "tensor 'w' has its data at '../../secret', expected a file in the"),
    ({"model.onnx": _external("/etc/passwd")}, "tensor 'w' has its data at '/etc/passwd', expected a file in the"),
    ({"model.onnx": _external("")}, "tensor 'w' has its data at '', expected a file in the model's folder"),
    ({"model.onnx": _external("w.bin")}, "tensor 'w' has its data at 'w.bin', which does not exist"),
    ({"model.onnx": onnx.scale(2.0, ["n", 3], opset=99)}, "cannot load it (opset ai.onnx 99, IR 8)"),
    ({"other.onnx": GOOD}, "the artifact has no file model.onnx; it has other.onnx"),
]


@pytest.mark.parametrize(("files", "reason"), MODELS, ids=[reason[:50] for _, reason in MODELS])
def test_a_file_that_is_not_a_safe_model_is_rejected_by_node(
    publish_model: Callable[..., str], tmp_path: Path, files: Any, reason: str
) -> None:
    uri = publish_model("bad", files)
    message = rejection(tmp_path, {"name": "classifier", "type": "MODEL", "modelUri": uri})
    assert message.startswith(f"node classifier: modelUri {uri}: ")
    assert reason in message


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_rejected_and_never_loaded(
    publish_model: Callable[..., str], tmp_path: Path, protocol: int
) -> None:
    trace = tmp_path / "ran"
    uri = publish_model("bad", pickle.dumps(_Bomb(trace), protocol))
    message = rejection(tmp_path, {"name": "classifier", "type": "MODEL", "modelUri": uri})
    assert "model.onnx is a Python pickle" in message
    assert not trace.exists()


def test_external_data_in_the_models_folder_is_served(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    uri = publish_model("split", {"model.onnx": _external("data/w.bin"), "data/w.bin": W.tobytes()})
    server = start({"name": "split", "type": "MODEL", "modelUri": uri}).wait_ready()
    answer = server.infer({"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]})
    assert answer.json["outputs"][0]["data"] == [7.0, 7.0]


def test_a_tampered_or_other_artifact_is_rejected(publish_model: Callable[..., str], tmp_path: Path) -> None:
    uri = publish_model("good", GOOD)
    node = {"name": "classifier", "type": "MODEL", "modelUri": uri}
    assert f"expected {DIGEST}" in rejection(tmp_path, {**node, "digest": DIGEST})
    model = Path(uri.removeprefix("file://")) / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\x07")
    assert "node classifier: modelUri file://" in rejection(tmp_path, node)
    other = publish_model("table", b"1,2", kind="dataset")
    assert "is an artifact of kind 'dataset', expected 'onnx-model'" in rejection(tmp_path, {**node, "modelUri": other})
    missing = {**node, "modelUri": (tmp_path / "nothing").as_uri()}
    assert "no artifact found" in rejection(tmp_path, missing)


def chain(first: str, second: str) -> dict[str, Any]:
    child = {"name": "second", "type": "MODEL", "modelUri": second}
    return {"name": "first", "type": "TRANSFORMER", "modelUri": first, "children": [child]}


def test_a_parent_whose_outputs_do_not_fit_its_child_is_rejected(
    publish_model: Callable[..., str], tmp_path: Path
) -> None:
    three = publish_model("three", GOOD)
    four = publish_model("four", onnx.scale(1.0, ["n", 4]))
    double = publish_model("double", onnx.scale(1.0, ["n", 3], "FP64"))
    two = publish_model(
        "two",
        onnx.model(
            [onnx.node("Add", ["a", "b"], ["c"])],
            [("a", "FP32", ["n", 3]), ("b", "FP32", ["n", 3])],
            [("c", "FP32", ["n", 3])],
        ),
    )
    expected = "node second: input x: node first returns shape [-1, 3], expected [-1, 4]"
    assert rejection(tmp_path, chain(three, four)) == expected
    expected = "node second: input x: node first returns FP64, expected FP32"
    assert rejection(tmp_path, chain(double, three)) == expected
    assert (
        rejection(tmp_path, chain(three, two))
        == "node second: input a: node first returns scaled, expected a among them"
    )


def mean(*uris: str) -> dict[str, Any]:
    children = [{"name": f"m{index}", "type": "MODEL", "modelUri": uri} for index, uri in enumerate(uris)]
    return {"name": "mean", "type": "COMBINER", "implementation": "AVERAGE_COMBINER", "children": children}


def test_outputs_that_cannot_be_averaged_are_rejected(publish_model: Callable[..., str], tmp_path: Path) -> None:
    def scorer(name: str, columns: int, datatype: str = "FP32") -> str:
        node = onnx.node("Expand", ["x", "shape"], ["y"])
        if datatype == "BYTES":
            return publish_model(name, onnx.identity("BYTES", ["n", 1]))
        shape = onnx.tensor("shape", np.array([1, columns], np.int64))
        return publish_model(
            name, onnx.model([node], [("x", "FP32", ["n", 1])], [("y", "FP32", ["n", columns])], [shape])
        )

    three, four = scorer("three", 3), scorer("four", 4)
    assert rejection(tmp_path, mean(three, four)) == (
        "node m1: returns y FP32 [-1, 4], expected numbers in the shapes of its sibling m0, y FP32 [-1, 3]: "
        "node mean averages them"
    )
    texts = scorer("texts", 1, "BYTES")
    assert "node m0: returns y BYTES [-1, 1], expected numbers" in rejection(tmp_path, mean(texts, texts))


MODEL = {"name": "m", "type": "MODEL", "modelUri": "file:///m"}
REMOTE = {"name": "r", "type": "ROUTER", "endpoint": {"host": "127.0.0.1", "port": 9000, "type": "REST"}}
GRAPHS = [
    ("{", "got invalid JSON"),
    ({**MODEL, "type": "MODELL"}, "graph.type: got 'MODELL', expected one of MODEL, TRANSFORMER"),
    ({**MODEL, "name": ""}, "graph.name: got '', expected a string that is not empty"),
    (
        {"name": "m", "type": "MODEL"},
        "graph: got {'modelUri': None, 'implementation': None, 'endpoint': None}, expected exactly one of them",
    ),
    ({**MODEL, "digest": "sha256:12"}, "graph.digest: got 'sha256:12', expected sha256: and 64"),
    ({**MODEL, "modelURI": "x"}, "graph.modelURI: got 'x', expected one of the fields children, digest"),
    ({**MODEL, "children": [MODEL]}, "graph: got 2 nodes named m, expected unique names"),
    ({**MODEL, "children": [MODEL, {**MODEL, "name": "n"}]}, "graph.children: got 2 children, expected at most 1"),
    (REMOTE, "graph.children: got 0 children, expected at least 1 below a ROUTER"),
    ({**REMOTE, "endpoint": {"host": "h", "port": 0}, "children": [MODEL]}, "graph.endpoint.port: got 0"),
    ({**REMOTE, "endpoint": {"host": "h", "port": 1, "type": "SOAP"}, "children": [MODEL]}, "graph.endpoint.type: got"),
    ({**REMOTE, "protocol": "v2", "children": [MODEL]}, "graph.type: got ROUTER with protocol v2, expected a node"),
    ({**MODEL, "retries": 1}, "graph.retries: got 1, expected a node with an endpoint"),
    ({**REMOTE, "type": "MODEL", "modelName": "m"}, "graph.modelName: got 'm', expected a node whose protocol is v2"),
    (
        {**MODEL, "type": "ROUTER", "children": [{**MODEL, "name": "n"}]},
        "graph.type: got ROUTER with a modelUri, expected one of MODEL, TRANSFORMER, OUTPUT_TRANSFORMER",
    ),
]


@pytest.mark.parametrize(("graph", "reason"), GRAPHS, ids=[reason[:50] for _, reason in GRAPHS])
def test_an_invalid_graph_is_rejected_by_field(tmp_path: Path, graph: Any, reason: str) -> None:
    assert reason in rejection(tmp_path, graph)


def test_an_invalid_setting_is_rejected_by_name(start: Callable[..., Any]) -> None:
    server = start(MODEL, FAIRLEAD_MAX_IN_FLIGHT="many")
    assert server.process.wait(30) == 1
    line = json.loads(server.log.read_text())
    assert (line["at"], line["reason"]) == ("FAIRLEAD_MAX_IN_FLIGHT", "got 'many', expected an integer of at least 1")


def test_a_graph_without_remote_nodes_imports_no_http_client() -> None:
    code = "import sys, fairlead_graph.model_process; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
