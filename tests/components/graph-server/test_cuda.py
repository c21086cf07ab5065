"""The graph server on ONNX Runtime with CUDA, on a machine without a GPU.

It needs an environment of components/graph-server-cuda/requirements.txt, which is large and no part of `make setup`
(docs/guides/gpus.md): without it, these tests are skipped.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.devices import PATH, DeviceFacts

from tests.support import onnx_models as onnx

ROOT = Path(__file__).parents[3]
PYTHON = (
    Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead")) / "envs" / "graph-server-cuda" / "bin" / "python"
)
COMPONENTS = [ROOT / "components" / name for name in ("artifacts", "contracts", "graph-server", "serving")]
GPU = any(Path("/dev").glob("nvidia[0-9]*"))
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"{PYTHON}: no environment of components/graph-server-cuda/requirements.txt"
)
without_gpu = pytest.mark.skipif(GPU, reason="this machine has a GPU")

ROWS = [[1.0, 2.0, 4.0], [3.0, 0.5, 0.0]]
WEIGHTS = {"w": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.array([0.5, -0.5], np.float32)}
INPUT = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": ROWS}
DRIVER = """
int cuInit(unsigned flags) { return %(start)d; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuGetErrorString(int code, const char **text) { *text = "no CUDA-capable device is detected"; return 0; }
int cuTensorMapEncodeTiled(void) { return 100; }
"""
"""A driver in the place of NVIDIA's, which is not here: ONNX Runtime's library needs these names to be loaded."""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the server's command in the environment with CUDA, with the packages of this checkout."""
    script = tmp_path_factory.mktemp("cuda") / "fairlead-graph-server"
    path = ":".join(map(str, COMPONENTS))
    script.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {PYTHON} -m fairlead_graph.main "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def graph(publish_model: Callable[..., str]) -> Any:
    """Return a graph of scaler -> classifier."""
    scaler = publish_model("scaler", {"scaler.onnx": onnx.scale(0.5, ["batch", 3])})
    classifier = publish_model("classifier", onnx.linear(WEIGHTS))
    child = {"name": "classifier", "type": "MODEL", "modelUri": classifier}
    return {"name": "scaler", "type": "TRANSFORMER", "modelUri": f"{scaler}/scaler.onnx", "children": [child]}


def build_driver(folder: Path, start: int) -> dict[str, str]:
    """Compile a driver that starts or does not; return the variable by which it is found."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source, library = folder / "cuda.c", folder / "libcuda.so.1"
    source.write_text(DRIVER % {"start": start})
    subprocess.run([compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", library, source], check=True)
    return {"LD_LIBRARY_PATH": str(folder)}


def check_fallback(server: Any, problem: str) -> None:
    """Check that a server answers, says in all its places that it runs on the CPU, and that nothing else is logged."""
    facts = DeviceFacts.parse_json(server.get(PATH).body, "facts")
    assert [(each.node, each.provider) for each in facts.nodes] == [("scaler", "CPU"), ("classifier", "CPU")]
    for each in facts.nodes:
        assert each.problem is not None
        assert each.problem.startswith(problem)
    metadata = server.get("/v2/models/digits").json
    assert json.loads(metadata["parameters"]["execution_providers"]) == {"scaler": "CPU", "classifier": "CPU"}
    assert metadata["parameters"]["cuda_problem"] == facts.nodes[0].problem
    metrics = server.get("/metrics").body.decode()
    assert 'fairlead_graph_execution_provider{node="classifier",provider="CPU"} 1.0' in metrics
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    said = [line for line in lines if line["message"] == "models run on the CPU"]
    assert [(line["level"], line["nodes"], line["reason"]) for line in said] == [
        ("warning", ["scaler", "classifier"], facts.nodes[0].problem)
    ]


@without_gpu
def test_without_a_driver_it_answers_as_the_image_for_cpus_and_says_why(
    start: Callable[..., Any], command: Path, graph: Any
) -> None:
    with_cuda, plain = start(graph, command=command).wait_ready(), start(graph).wait_ready()
    found, expected = with_cuda.infer(INPUT), plain.infer(INPUT)
    assert (found.status, found.json["outputs"]) == (200, expected.json["outputs"])
    check_fallback(with_cuda, "there is no NVIDIA driver here: libcuda.so.1: cannot open shared object file")


@without_gpu
def test_a_driver_that_finds_no_gpu_is_quoted(
    start: Callable[..., Any], command: Path, graph: Any, tmp_path: Path
) -> None:
    server = start(graph, command=command, **build_driver(tmp_path, start=100)).wait_ready()
    assert server.infer(INPUT).status == 200
    check_fallback(server, "NVIDIA's driver finds no GPU: no CUDA-capable device is detected (error 100)")


@without_gpu
def test_what_cuda_says_when_a_model_is_opened_is_quoted(
    start: Callable[..., Any], command: Path, graph: Any, tmp_path: Path
) -> None:
    # the libraries are all loaded, and ask a driver that cannot do what they need
    server = start(graph, command=command, **build_driver(tmp_path, start=0)).wait_ready()
    assert server.infer(INPUT).status == 200
    check_fallback(server, "ONNX Runtime cannot open the model on the GPU: CUDA failure 35: CUDA driver version is")


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_on_a_gpu_it_answers_as_the_image_for_cpus(start: Callable[..., Any], command: Path, graph: Any) -> None:
    with_cuda, plain = start(graph, command=command).wait_ready(), start(graph).wait_ready()
    facts = DeviceFacts.parse_json(with_cuda.get(PATH).body, "facts")
    assert [(each.node, each.provider, each.problem) for each in facts.nodes] == [
        ("scaler", "CUDA", None), ("classifier", "CUDA", None),
    ]  # fmt: skip
    (found,), (expected,) = with_cuda.infer(INPUT).json["outputs"], plain.infer(INPUT).json["outputs"]
    np.testing.assert_allclose(found["data"], expected["data"], rtol=1e-5)
