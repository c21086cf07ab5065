"""Damaged and hostile models: the process ends with a named reason, without a traceback, and does not hang."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import onnx_models as onnx

GOOD = onnx.scale(2.0, ["n", 3])


def constant_division() -> bytes:
    """A model whose initializers divide the smallest integer by -1, which ONNX Runtime folds while it loads."""
    tensors = [onnx.tensor("a", np.array([-(2**63)], np.int64)), onnx.tensor("b", np.array([-1], np.int64))]
    nodes = [onnx.node("Div", ["a", "b"], ["c"]), onnx.node("Add", ["x", "c"], ["y"])]
    return onnx.model(nodes, [("x", "INT64", ["n"])], [("y", "INT64", ["n"])], tensors)


def always_crashing() -> bytes:
    """A model that divides the smallest integer by -1, whatever its input."""
    tensors = [onnx.tensor("least", np.array(-(2**63), np.int64)), onnx.tensor("minus", np.array(-1, np.int64))]
    nodes = [
        onnx.node("Sub", ["x", "x"], ["zero"]),
        onnx.node("Add", ["zero", "least"], ["a"]),
        onnx.node("Add", ["zero", "minus"], ["b"]),
        onnx.node("Div", ["a", "b"], ["y"]),
    ]
    return onnx.model(nodes, [("x", "INT64", ["n"])], [("y", "INT64", ["n"])], tensors)


def overlong_tag() -> bytes:
    """External data whose field tag has superfluous bytes."""
    entry = onnx.block(1, "location") + onnx.block(2, "/etc/hostname")
    tag = bytes((13 << 3 | 2 | 0x80, 0x80, 0x00))
    tensor = onnx.number(1, 3) + onnx.number(2, 1) + onnx.block(8, "w") + tag + bytes((len(entry),)) + entry
    tensor += onnx.number(14, 1)
    return onnx.model([onnx.node("Add", ["x", "w"], ["y"])], [("x", "FP32", [3])], [("y", "FP32", [3])], [tensor])


def invalid_name() -> bytes:
    return GOOD.replace(b"scaled", b"sc\xff\xfeed")


MODELS = [
    (b"\x42\x01\x0a", "not ONNX", "one byte of a field"),
    (overlong_tag(), "expected a file in the model's folder", "an overlong tag"),
    (constant_division(), "was ended by SIGFPE", "a division that is folded"),
    (always_crashing(), "2 times with other values; what ran: node bad", "a division that ends the process"),
    (onnx.number(1, 8) + onnx.block(7, onnx.block(1, b"") * 1_500_000) + onnx.block(8, onnx.number(2, 17)),
     "", "millions of empty nodes"),
    (invalid_name(), "UTF-8", "a name that is not UTF-8"),
    *((GOOD[:end], "ONNX", f"truncated at {end}") for end in range(1, len(GOOD) - 1, 29)),
]  # fmt: skip


@pytest.mark.parametrize(("model", "reason", "what"), MODELS, ids=[what for *_, what in MODELS])
def test_a_damaged_model_ends_with_a_named_reason(
    start: Callable[..., Any], publish_model: Callable[..., str], tmp_path: Path, model: bytes, reason: str, what: str
) -> None:
    message = tmp_path / "termination"
    graph = {"name": "bad", "type": "MODEL", "modelUri": publish_model("bad", model)}
    server = start(graph, FAIRLEAD_TERMINATION_LOG=str(message), FAIRLEAD_LOAD_TIMEOUT_SECONDS="45")
    assert server.process.wait(120) == 1, server.log.read_text()
    log = server.log.read_text()
    assert "Traceback" not in log and "traceback" not in log, log
    failure = json.loads(message.read_text())["failure"]
    assert failure["reason"] == "InvalidGraph"
    assert reason in failure["message"]
    assert "bad" in failure["message"] or "graph" in failure["message"]


def test_a_model_that_does_not_load_in_time_is_named_and_stopped(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    uri = publish_model("slow", onnx.einsum("....i->->zz"))
    graph = {"name": "slow", "type": "MODEL", "modelUri": uri}
    server = start(graph, FAIRLEAD_LOAD_TIMEOUT_SECONDS="40")  # also for the start
    assert server.get("/v2/health/live").status == 200 if wait_listening(server) else True
    assert server.process.wait(120) == 1, server.log.read_text()
    last = json.loads(server.log.read_text().splitlines()[-1])
    assert (last["message"], "slow" in last["at"] or last["at"] == "graph") == ("invalid graph", True)
    assert "did not finish within 40 s" in last["reason"]


def wait_listening(server: Any) -> bool:
    server.wait(lambda: server.get("/v2/health/live").status == 200)
    return True


def test_nothing_is_written_to_the_home_folder(
    start: Callable[..., Any], publish_model: Callable[..., str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    uri = publish_model("twice", GOOD)
    server = start({"name": "twice", "type": "MODEL", "modelUri": uri}, HOME=str(home), XDG_CACHE_HOME="")
    server.wait_ready()
    server.infer({"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]})
    assert server.stop() == 0
    # ONNX Runtime's telemetry stores a device's id and its errors in ~/.cache when it is imported.
    assert list(home.rglob("*")) == []
