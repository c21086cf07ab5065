"""Where models run: on the CPU here, and why a GPU cannot be used, in each of its words."""

import ctypes
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from fairlead_contracts.devices import MAX_PROBLEM, PATH, DeviceFacts
from fairlead_contracts.graph import MAX_NODES
from fairlead_graph.devices import DeviceCollector, read_devices
from fairlead_graph.nodes import cuda
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import NotReady

from tests.support import onnx_models

NO_CUDA = "this image's ONNX Runtime was built without CUDA"
MODEL = onnx_models.scale(0.5, ["n", 3])
FOUND = {"CUDAExecutionProvider", "CPUExecutionProvider"}


class Driver:
    """Answers as NVIDIA's driver, which this machine lacks."""

    def __init__(self, start: int = 0, count: int = 1) -> None:
        self._start, self._count = start, count

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self._start

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self._count
        return 0

    def cuGetErrorString(self, code: int, text: Any) -> int:
        text._obj.value = b"no CUDA-capable device is detected" if code == 100 else None
        return 0


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let ONNX Runtime name CUDA among its providers, as the build for GPUs does."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: sorted(FOUND, reverse=True))
    cuda.find_problem.cache_clear()
    yield
    cuda.find_problem.cache_clear()


def test_the_server_says_where_its_models_run(start: Callable[..., Any], publish_model: Callable[..., str]) -> None:
    child = {"name": "built-in", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
    graph = {"name": "scaler", "type": "TRANSFORMER", "modelUri": publish_model("m", MODEL), "children": [child]}
    server = start(graph).wait_ready()
    answer = server.get(PATH)
    assert answer.status == 200
    facts = DeviceFacts.parse_json(answer.body, "facts")
    assert [(each.node, each.provider, each.problem) for each in facts.nodes] == [("scaler", "CPU", NO_CUDA)]
    assert 'fairlead_graph_execution_provider{node="scaler",provider="CPU"} 1.0' in server.get("/metrics").body.decode()
    # where nothing can be accelerated, metadata and log say nothing about it
    assert "parameters" not in server.get("/v2/models/digits").json
    assert "CUDA" not in server.log.read_text()


def test_nothing_is_said_before_the_models_are_loaded() -> None:
    plane = DataPlane("digits", "1", 1)
    with pytest.raises(NotReady, match="the models are loading"):
        read_devices(plane)
    (family,) = DeviceCollector(plane).collect()
    assert family.samples == []


@pytest.mark.parametrize(
    ("driver", "problem"),
    [
        (Driver(), None),
        (Driver(count=0), "NVIDIA's driver finds no GPU"),
        (Driver(start=100), "NVIDIA's driver finds no GPU: no CUDA-capable device is detected (error 100)"),
        (Driver(start=999), "NVIDIA's driver finds no GPU: unknown error (error 999)"),
    ],
)
def test_the_driver_is_asked_for_a_gpu(driver: Driver, problem: str | None) -> None:
    assert cuda.ask_driver(lambda _: driver) == problem


def test_a_missing_driver_is_named_with_the_loaders_own_words() -> None:
    problem = cuda.ask_driver(lambda _: ctypes.CDLL("libnone.so.1"))
    assert problem == (
        "there is no NVIDIA driver here: libnone.so.1: cannot open shared object file: No such file or directory"
    )


def test_libraries_that_are_missing_are_named_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    def preload(**options: Any) -> None:
        assert options == {"msvc": False, "directory": ""}
        print("Failed to load libcublasLt.so.13: cannot open shared object file")
        print("Please follow a page")

    problem = cuda._load_libraries(preload)
    assert problem == "CUDA's libraries cannot be loaded: Failed to load libcublasLt.so.13: " + (
        "cannot open shared object file"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("with_cuda")
def test_without_a_driver_the_model_is_opened_on_the_cpu_and_runs(capfd: pytest.CaptureFixture[str]) -> None:
    problem = cuda.find_problem()
    assert problem is not None
    assert problem.startswith("there is no NVIDIA driver here: libcuda.so.1")
    session, device = cuda.open_on_device(MODEL, ort.SessionOptions(), problem)
    assert device == cuda.Device("CPU", problem)
    (name,) = (value.name for value in session.get_inputs())
    (found,) = session.run(None, {name: np.ones((1, 3), np.float32)})
    np.testing.assert_array_equal(found, np.full((1, 3), 0.5, np.float32))
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_session_that_onnx_runtime_opens_without_cuda_is_said_to_be_on_the_cpu() -> None:
    # this build has no CUDA, and opens the model on the CPU, as the other does if its library cannot be loaded
    session, device = cuda.open_on_device(MODEL, ort.SessionOptions(), None)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert device == cuda.Device("CPU", "ONNX Runtime cannot load its library for CUDA")


def test_a_model_that_cannot_be_opened_on_the_gpu_is_opened_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ort.InferenceSession

    def open_session(content: Any, options: Any, providers: Any, **more: Any) -> Any:
        if len(providers) > 1:
            assert more == {"enable_fallback": 0}
            raise RuntimeError(
                f"{'long::name' * 99}\nParse Failed: CUDA failure 35: CUDA driver version is insufficient ; GPU=-1"
            )
        return real(content, options, providers=providers)

    monkeypatch.setattr(ort, "InferenceSession", open_session)
    session, device = cuda.open_on_device(MODEL, ort.SessionOptions(), None)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert device.problem == (
        "ONNX Runtime cannot open the model on the GPU: CUDA failure 35: CUDA driver version is insufficient"
    )


def test_the_longest_facts_keep_to_their_limit() -> None:
    nodes = [
        {"node": f"{index:03d}".ljust(63, "n"), "provider": "CPU", "problem": "ü" * MAX_PROBLEM}
        for index in range(MAX_NODES)
    ]
    content = json.dumps({"nodes": nodes}, ensure_ascii=False)
    assert len(DeviceFacts.parse_json(content, "facts").nodes) == MAX_NODES
