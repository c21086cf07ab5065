"""The containers of a SeldonDeployment, started as the operator writes them, answer an executor like Seldon's."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3
from fairlead.core import names
from fairlead.core.model_deployment.seldon_build import KIND, build_seldon_children
from fairlead.core.settings import Settings
from fairlead_cluster.base.home import Home, default_home

from tests.support import onnx_models as onnx
from tests.support.api_server import wait_for
from tests.support.ports import own_address
from tests.support.resources import Object
from tests.support.seldon import Executor, add_defaults, containers
from tests.support.seldon_shapes import make_seldon

ADDRESS = own_address(11)
ROW = {"data": {"names": ["a", "b", "c"], "ndarray": [[1.0, 2.0, 4.0]]}, "meta": {"puid": "p1"}}
SENT_TO_SECOND = [{"name": "ratioA", "value": "0", "type": "FLOAT"}]


@pytest.fixture
def executor(store: Callable[[str, bytes], str], tmp_path: Path) -> Iterator[Executor]:
    """Start every container of a graph with all types of nodes, and return an executor of it."""

    def model(name: str, factor: float, **fields: Any) -> Object:
        return {"name": name, "modelUri": store(name, onnx.scale(factor, ["n", 3])), **fields}

    router = {"name": "choose", "implementation": "RANDOM_ABTEST", "parameters": SENT_TO_SECOND,
              "children": [model("twice", 2.0), model("tenfold", 10.0, type="TRANSFORMER")]}  # fmt: skip
    mean = {"name": "mean", "implementation": "AVERAGE_COMBINER", "children": [router, model("fourfold", 4.0)]}
    graph = model("negative", -1.0, type="OUTPUT_TRANSFORMER", children=[mean])
    deployment = make_seldon({"predictors": [{"name": "main", "graph": graph}]})
    children = build_seldon_children(deployment, {}, Settings())
    for name, text in next(child["data"] for child in children if child["kind"] == "ConfigMap").items():
        (tmp_path / name).write_text(text)
    resource = add_defaults(next(child for child in children if child["kind"] == KIND))
    (predictor,) = resource["spec"]["predictors"]
    with ExitStack() as stack:
        for container in containers(predictor):
            stack.callback(_stop, _start(container, tmp_path))
        for container in containers(predictor):
            port = next(each["containerPort"] for each in container["ports"] if each["name"] == "http")
            wait_for(lambda at=port: _is_ready(at), f"{container['name']} to be ready", 60)
        yield Executor(predictor, _send)


def test_a_graph_of_all_types_is_answered_through_its_containers(executor: Executor) -> None:
    answer = executor.predict(ROW)
    # the mean of 10 x and 4 x, negative
    assert answer["data"]["ndarray"] == [[-7.0, -14.0, -28.0]]
    executor.send_feedback({"request": ROW, "response": {"meta": {"routing": {"choose": 1}}}, "reward": 1.0})


def _start(container: Object, folder: Path) -> "subprocess.Popen[bytes]":
    command, *arguments = (each.replace(names.GRAPH_FOLDER, str(folder)) for each in container["command"])
    theirs = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    # what the pod would have: its folders, its address, and what Seldon Core sets
    theirs |= {"TMPDIR": str(folder), "FAIRLEAD_TERMINATION_LOG": str(folder / "end"), "FAIRLEAD_BIND_ADDRESS": ADDRESS}
    theirs |= {"PREDICTIVE_UNIT_ID": container["name"], "PREDICTIVE_UNIT_SERVICE_PORT": "1"}
    with (folder / f"{container['name']}.log").open("wb") as log:
        path = Home(default_home()).bin / command
        return subprocess.Popen([str(path), *arguments], env=os.environ | theirs, stdout=log, stderr=log)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _is_ready(port: int) -> bool:
    try:
        answer = urllib3.request("GET", f"http://{ADDRESS}:{port}/health/status", retries=False, timeout=5)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == 200


def _send(port: int, path: str, document: Object) -> Object:
    answer = urllib3.request("POST", f"http://{ADDRESS}:{port}{path}", json=document, retries=False, timeout=30)
    assert answer.status == 200, answer.data
    return dict(json.loads(answer.data))
