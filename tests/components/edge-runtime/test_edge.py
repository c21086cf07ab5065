"""The edge runtime: quantize a real model, verify its bundle and serve it, in an environment without torch."""

import contextlib
import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import fetch, publish, read_manifest
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_edge.bundle import Bundle, open_bundle
from fairlead_edge.errors import InputUnusable, InvalidBundle
from fairlead_edge.main import main
from fairlead_edge.runtime import Runtime
from fairlead_edge.self_test import Cases
from fairlead_edge.splits import load_split
from fairlead_edge.targets import BUILT_ELSEWHERE, TARGETS, find_target
from fairlead_edge.targets.base import CannotBuild, CannotLoad, Ending, RunEnded, RunFailed

from tests.support import onnx_models as onnx
from tests.support.outages import interrupt_store
from tests.support.ports import free_port

BUILT_HERE = [name for name in TARGETS if name not in BUILT_ELSEWHERE]
CLASSES, SIZE = 4, 16
COMMAND = str(Path(sys.executable).with_name("fairlead-edge"))
WEIGHTS = np.random.default_rng(7).normal(size=(SIZE, CLASSES)).astype(np.float32)


def make_split(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values of 0 to 10, and the class that the model clearly predicts for them divided by 10."""
    x = np.random.default_rng(seed).uniform(0, 10, (3 * rows, SIZE)).astype(np.float32)
    scores = x / 10 @ WEIGHTS
    best = np.sort(scores, axis=1)
    clear = np.flatnonzero(best[:, -1] - best[:, -2] > 0.2)[:rows]
    return x[clear], scores[clear].argmax(axis=1)


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder, uri = tmp_path / "model", (tmp_path / "store" / "onnx").as_uri()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(onnx.linear({"w": WEIGHTS, "b": np.zeros(CLASSES)}))
    publish(folder, uri, kind="onnx-model", producer="tests/0")
    return uri


@pytest.fixture
def save_dataset(tmp_path: Path) -> Callable[..., str]:
    """Return a function that publishes splits; `outlier` is added to the calibration split."""

    def run(outlier: float | None = None) -> str:
        folder, uri = tmp_path / "data", (tmp_path / "store" / "data").as_uri()
        folder.mkdir()
        for seed, (split, rows) in enumerate({"train": 200, "test": 400}.items()):
            x, y = make_split(rows, seed)
            if outlier and split == "train":
                x[0, 0] = outlier
            np.savez(folder / f"{split}.npz", x=x, y=y)
        publish(folder, uri, kind="dataset", producer="tests/0")
        return uri

    return run


@pytest.fixture
def bundle(tmp_path: Path, model: str, save_dataset: Callable[..., str]) -> str:
    """Return the URI of a bundle with a scale and labels."""
    uri = (tmp_path / "store" / "bundle").as_uri()
    assert build(model, save_dataset(), uri, "--labels", "north,east,south,west") == 0
    return uri


def build(model: str, dataset: str, uri: str, *more: str) -> int:
    arguments = ["build", "--model", model, "--dataset", dataset, "--scale", "0.1", "--name", "wind"]
    return main([*arguments, "--out-uri", uri, *more])


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Return a function that serves a bundle with the command and waits until it is ready."""
    processes: list[subprocess.Popen[str]] = []

    def run(bundle: str) -> tuple[subprocess.Popen[str], int]:
        port = free_port()
        process = subprocess.Popen(
            [COMMAND, "serve", "--bundle", bundle, "--port", str(port)],
            env={**os.environ, "FAIRLEAD_BIND_ADDRESS": "127.0.0.1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        for _ in range(600):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            with contextlib.suppress(OSError):
                if ask(port, "GET", "/v2/health/ready")[0] == 200:
                    return process, port
            time.sleep(0.05)  # it listens before the model is loaded
        raise AssertionError("not ready within 30 s")

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def ask(port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def request(x: np.ndarray) -> dict[str, Any]:
    tensor = {"name": "input", "datatype": "FP32", "shape": list(x.shape), "data": x.tolist()}
    return {"id": "a", "inputs": [tensor]}


def test_this_environment_has_no_torch() -> None:
    assert importlib.util.find_spec("torch") is None


def test_a_bundle_holds_a_small_model_its_origin_and_its_parity(
    tmp_path: Path, model: str, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = fetch(bundle, tmp_path / "fetched")
    assert manifest.kind == "edge-bundle"
    assert {parent.name for parent in manifest.parents} == {"model", "dataset"}
    assert read_manifest(model).digest in {parent.digest for parent in manifest.parents}
    parity = json.loads((tmp_path / "fetched" / "parity.json").read_text())
    assert parity["examples"] == 400
    assert parity["accuracy_before"] == 1.0
    assert parity["accuracy_after"] >= 0.98
    assert parity["max_abs_difference"] > 0  # int8 is not float: a copy of the source would show none
    assert b"QuantizeLinear" in (tmp_path / "fetched" / "model.onnx").read_bytes()
    description = json.loads((tmp_path / "fetched" / "bundle.json").read_text())
    assert description["preprocessing"] == {"scale": 0.1, "offset": 0.0}
    assert description["labels"] == ["north", "east", "south", "west"]


def test_quantizing_again_builds_the_same_bundle(tmp_path: Path, model: str, save_dataset: Callable[..., str]) -> None:
    dataset, uri = save_dataset(), (tmp_path / "store" / "bundle").as_uri()
    out = tmp_path / "out" / "result.json"
    assert build(model, dataset, uri, "--out", str(out)) == 0
    # Other content at the same URI would be rejected.
    assert build(model, dataset, uri) == 0
    result = json.loads(out.read_text())
    assert result["digest"] == read_manifest(uri).digest
    assert result["parity"]["agreement"] >= 0.98


def test_a_bundle_is_published_after_an_outage_of_the_store(
    tmp_path: Path, model: str, save_dataset: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, uri = save_dataset(), (tmp_path / "store" / "bundle").as_uri()
    failed = interrupt_store(monkeypatch, uri)
    assert build(model, dataset, uri) == 0
    assert failed == ["read_manifest", "write"]
    assert read_manifest(uri).kind == "edge-bundle"


def test_a_drop_of_accuracy_is_rejected_with_its_figures(
    tmp_path: Path, model: str, save_dataset: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    # An outlier in the calibration examples makes the int8 activations too coarse.
    assert build(model, save_dataset(outlier=1e4), (tmp_path / "store" / "bundle").as_uri()) == 2
    assert "rejected: accuracy drops from 1.0000 to 0." in capsys.readouterr().err
    assert not (tmp_path / "store" / "bundle").exists()


@pytest.mark.parametrize("target", BUILT_HERE)
def test_every_target_is_built_and_answers_as_its_source(
    tmp_path: Path, model: str, save_dataset: Callable[..., str], target: str
) -> None:
    uri = (tmp_path / "store" / "bundle").as_uri()
    assert build(model, save_dataset(), uri, "--target", target) == 0
    bundle = open_bundle(uri)
    assert (bundle.description.target, set(bundle.files)) == (target, set(find_target(target).files))
    runtime = Runtime(bundle)
    assert runtime.warm_up(1) is None
    x, y = make_split(64, 9)
    answer = runtime.infer(json.dumps(request(x)).encode(), Ending(), 1 << 20).document
    assert (np.reshape(answer["outputs"][0]["data"], (64, CLASSES)).argmax(axis=1) == y).mean() > 0.95
    assert bundle.description.self_test is not None
    cases = Cases.load(bundle.description.self_test, bundle.self_test)
    asked = [json.dumps(each).encode() for each in cases.build_requests(runtime.describe())]
    answers = [runtime.infer(body, Ending(), 1 << 20).document for body in asked]
    assert (len(answers), cases.find_problem(answers)) == (16, None)
    assert str(cases.find_problem(answers[::-1])).startswith("output 0: the mean difference is")
    assert str(cases.find_problem([{"outputs": []}] * 16)).startswith("output 0: has not the shape")


def test_tensors_are_sent_and_returned_as_bytes(bundle: str, serve: Callable[..., tuple[Any, int]]) -> None:
    _, port = serve(bundle)
    assert ask(port, "GET", "/v2")[1]["extensions"] == ["binary_tensor_data"]
    x, _ = make_split(20, 5)
    expected = ask(port, "POST", "/v2/models/wind/infer", request(x))[1]["outputs"][0]["data"]
    tensor = {"name": "input", "datatype": "FP32", "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        headers = {"Inference-Header-Content-Length": str(len(head))}
        connection.request("POST", "/v2/models/wind/infer", head + x.tobytes(), headers)
        response = connection.getresponse()
        body, length = response.read(), int(response.headers["Inference-Header-Content-Length"])
        assert (response.status, response.headers["Content-Type"]) == (200, "application/octet-stream")
        scores, labels = json.loads(body[:length])["outputs"]
        size = scores["parameters"]["binary_data_size"]
        found = np.frombuffer(body[length : length + size], np.float32)
        assert np.allclose(found, expected, atol=1e-6)
        assert labels["datatype"] == "BYTES"
        for wrong, problem in (
            ("x", "expected a number of bytes"),
            ("1", "body: got b'{'"),
            ("99999999", "expected 1 to"),
        ):
            headers = {"Inference-Header-Content-Length": wrong}
            connection.request("POST", "/v2/models/wind/infer", head + x.tobytes(), headers)
            response = connection.getresponse()
            assert (response.status, problem in response.read().decode()) == (400, True), problem


def test_what_openvino_cannot_express_load_or_run_is_named(tmp_path: Path) -> None:
    target = find_target("openvino")
    (tmp_path / "det.onnx").write_bytes(
        onnx.model([onnx.node("Det", ["x"], ["y"])], [("x", "FP32", [1, 2, 2])], [("y", "FP32", [1])])
    )
    with pytest.raises(CannotBuild, match=r"OpenVINO .* cannot express the model: .*Det"):
        target.build(tmp_path / "det.onnx", tmp_path, np.zeros((1, 2, 2), np.float32))
    with pytest.raises(CannotLoad, match=r"OpenVINO .* cannot load the model"):
        target.load({"model.xml": b"<net>", "model.bin": b""}, 1)
    (tmp_path / "scale.onnx").write_bytes(onnx.scale(2.0, ["n", 3]))
    target.build(tmp_path / "scale.onnx", tmp_path, np.zeros((1, 3), np.float32))
    session = target.load({name: (tmp_path / name).read_bytes() for name in target.files}, 1)
    with pytest.raises(RunFailed):
        session.run({"other": np.zeros((1, 3), np.float32)})
    (found,) = session.run({"x": np.ones((2, 3), np.float32)})
    assert found.tolist() == [[2.0] * 3] * 2
    ending = Ending()
    ending.end()
    with pytest.raises(RunEnded):
        session.run({"x": np.ones((2, 3), np.float32)}, ending)


def test_a_comparison_of_targets_is_a_table_and_publishes_nothing(
    tmp_path: Path, model: str, save_dataset: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    # an outlier in the calibration examples ruins the two targets that need them
    out = tmp_path / "out.json"
    arguments = ["compare", "--model", model, "--dataset", save_dataset(outlier=1e4), "--scale", "0.1"]
    targets = [option for name in BUILT_HERE for option in ("--target", name)]
    assert main([*arguments, *targets, "--out", str(out)]) == 0
    written = json.loads(out.read_text())
    assert {name: figures["examples"] for name, figures in written.items()} == dict.fromkeys(BUILT_HERE, 400)
    assert {name for name, figures in written.items() if figures["over_budget"]} == {"onnx-int8", "onnx-int8-tensorrt"}
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"target", *BUILT_HERE, "400"}
    assert "a drop in accuracy of up to " in lines["400"]
    assert "accuracy drops from 1.0000" in lines["onnx-int8"]
    assert lines["onnx"].split()[2:5] == ["1.0000", "1.0000", "0"]
    assert sum("the smallest" in line for line in lines.values()) == 1
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"onnx", "data"}


def test_a_target_that_cannot_be_built_is_named_and_the_table_goes_on(
    tmp_path: Path, save_dataset: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, uri = tmp_path / "broken", (tmp_path / "store" / "broken").as_uri()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"no model")
    publish(folder, uri, kind="onnx-model", producer="tests/0")
    dataset = save_dataset()
    assert main(["compare", "--model", uri, "--dataset", dataset]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert all(f" target {name}: " in lines[name] for name in TARGETS), lines
    assert build(uri, dataset, (tmp_path / "store" / "bundle").as_uri()) == 1
    assert "fairlead-edge: target onnx-int8: " in capsys.readouterr().err


def test_a_target_that_the_device_does_not_know_is_named(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = json.loads((device / "bundle.json").read_text()) | {"target": "abacus"}
    (device / "bundle.json").write_text(json.dumps(description))
    (device / "manifest.json").unlink()
    publish(device, (device.parent / "other").as_uri(), kind="edge-bundle", producer="tests/0")
    assert main(["verify", "--bundle", str(device.parent / "other")]) == 2
    assert "target: got 'abacus', expected one of onnx, onnx-fp16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "names"),
    [("openvino", ["model.onnx"]), ("onnx", ["weights.bin"]), ("onnx", ["model.onnx", "more.bin"])],
)
def test_a_bundle_whose_files_are_not_its_targets_is_rejected(
    device: Path, target: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    content = (device / "model.onnx").read_bytes()
    for name in names:
        (device / name).write_bytes(content)
    files = dict.fromkeys(names, hashlib.sha256(content).hexdigest())
    description = json.loads((device / "bundle.json").read_text()) | {"target": target, "files": files}
    (device / "bundle.json").write_text(json.dumps(description))
    (device / "manifest.json").unlink()
    publish(device, (device.parent / "other").as_uri(), kind="edge-bundle", producer="tests/0")
    assert main(["verify", "--bundle", str(device.parent / "other")]) == 2
    assert f"files: got {', '.join(names)}, expected model." in capsys.readouterr().err


def test_the_runtime_answers_from_the_bundle_alone(tmp_path: Path, bundle: str, serve: Callable[..., Any]) -> None:
    folder = tmp_path / "device"
    shutil.copytree(tmp_path / "store" / "bundle", folder)
    shutil.rmtree(tmp_path / "store")
    process, port = serve(str(folder))
    x, y = make_split(64, 9)
    status, answer = ask(port, "POST", "/v2/models/wind/infer", request(x))
    assert status == 200
    assert answer["id"] == "a"
    scores, labels = answer["outputs"]
    assert (scores["name"], scores["shape"], scores["datatype"]) == ("logits", [64, CLASSES], "FP32")
    found = np.reshape(scores["data"], (64, CLASSES)).argmax(axis=1)
    assert (found == y).mean() > 0.95
    assert labels["data"] == [["north", "east", "south", "west"][index] for index in found]
    metadata = ask(port, "GET", "/v2/models/wind")[1]
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, SIZE]}]
    assert ask(port, "GET", "/v2/models/wind/ready")[0] == 200

    with socket.create_connection(("127.0.0.1", port)):  # an idle connection must not delay the shutdown
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - begin < 5


REJECTED = [
    (b"{", "body: got b'{', expected JSON"),
    (b'{"inputs": [{"data": [NaN]}]}', 'body: got b\'{"inputs": [{"data": [NaN]}]}\', expected JSON'),
    ({}, "inputs: got None, expected a list of at least one tensor"),
    ({"name": "x"}, "inputs[0].name: got 'x', expected one of input"),
    ({"datatype": "FP64"}, "inputs[0].datatype: got 'FP64', expected FP32"),
    ({"shape": [2, 8]}, "inputs[0].shape: got [2, 8], expected [-1, 16] (-1: any size)"),
    ({"data": [1, 2]}, "inputs[0].data: got 2 values, expected 16, for shape [1, 16]"),
    ({"data": ["a"] * 16}, "inputs[0].data[0]: got 'a', expected a number (FP32)"),
    ({"data": [1e39] * 16}, "inputs[0].data[0]: got 1e+39, expected a number that FP32 can hold"),
]


def test_invalid_requests_are_rejected_by_field_and_the_runtime_continues(
    bundle: str, serve: Callable[..., Any]
) -> None:
    _, port = serve(bundle)
    good = request(make_split(1, 9)[0])
    path = "/v2/models/wind/infer"
    for change, reason in REJECTED:
        body = change
        if isinstance(change, dict):
            body = {"inputs": [good["inputs"][0] | change]} if change else {}
        status, answer = ask(port, "POST", path, body)
        assert (status, answer["error"].startswith(reason)) == (400, True), answer
    assert ask(port, "POST", "/v2/models/rain/infer", good)[0] == 404
    assert ask(port, "POST", path, b"", {"Content-Length": str(2**30)})[0] == 413
    assert ask(port, "GET", "/nothing")[0] == 404
    assert ask(port, "POST", path, good)[0] == 200


def flip(file: Path, index: int) -> None:
    content = bytearray(file.read_bytes())
    content[index] ^= 1
    file.write_bytes(content)


def open_flipped(folder: Path, digest: str | None) -> Iterator[tuple[str, int, Bundle]]:
    """Flip each byte of each file in turn; yield the bundles that can still be opened."""
    for file in sorted(folder.iterdir()):
        for index in range(file.stat().st_size):
            flip(file, index)
            with contextlib.suppress(InvalidBundle):
                yield file.name, index, open_bundle(str(folder), digest)
            flip(file, index)


@pytest.fixture
def device(tmp_path: Path, bundle: str) -> Path:
    """Return a folder with a copy of the bundle."""
    return Path(shutil.copytree(tmp_path / "store" / "bundle", tmp_path / "device"))


def test_with_the_digest_every_flipped_byte_of_every_file_is_detected(device: Path, bundle: str) -> None:
    assert list(open_flipped(device, read_manifest(bundle).digest)) == []
    names = {"model.onnx", "bundle.json", "parity.json", "parity.txt", "self-test.npz", "manifest.json"}
    assert {file.name for file in device.iterdir()} == names


def test_without_the_digest_a_changed_manifest_can_change_the_metadata_but_not_the_model(
    device: Path, bundle: str
) -> None:
    original = open_bundle(bundle)
    unnoticed = list(open_flipped(device, None))
    assert {name for name, *_ in unnoticed} == {"manifest.json"}
    for _, index, opened in unnoticed:
        assert (opened.files, opened.description) == (original.files, original.description), index
        assert opened.digest != original.digest, index


def test_verify_reports_what_it_proves(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--bundle", bundle]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["verified"], result["model"]["name"]) == ("consistency", "wind")
    assert "only --digest proves that it is the bundle that was published" in printed.err
    assert main(["verify", "--bundle", bundle, "--digest", result["digest"]]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["verified"], printed.err) == ("digest", "")


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "parity.json"])
def test_a_tampered_bundle_is_rejected_by_every_command(
    device: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(device / name, 0)
    for command in (["verify"], ["serve", "--port", "1"]):
        assert main([*command, "--bundle", str(device)]) == 2
        assert "fairlead-edge: rejected: " in capsys.readouterr().err


def test_another_bundle_is_rejected_by_digest_and_by_kind(
    tmp_path: Path, bundle: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = read_manifest(bundle).digest
    assert main(["verify", "--bundle", bundle, "--digest", digest]) == 0
    assert main(["verify", "--bundle", bundle, "--digest", "sha256:" + "0" * 64]) == 2
    assert f"digest is {digest}, expected sha256:000" in capsys.readouterr().err
    assert main(["verify", "--bundle", model]) == 2
    assert "is of kind 'onnx-model', expected 'edge-bundle'" in capsys.readouterr().err
    assert main(["verify", "--bundle", str(tmp_path / "nowhere")]) == 2
    assert "no artifact found" in capsys.readouterr().err


def test_a_replaced_model_with_a_new_manifest_is_rejected(
    tmp_path: Path, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forged, uri = tmp_path / "forged", (tmp_path / "store" / "forged").as_uri()
    fetch(bundle, forged)
    (forged / "model.onnx").write_bytes(onnx.linear({"w": -WEIGHTS, "b": np.zeros(CLASSES)}))
    publish(forged, uri, kind="edge-bundle", producer="tests/0")
    assert main(["verify", "--bundle", uri]) == 2
    assert "as in bundle.json" in capsys.readouterr().err


def test_the_runtime_loads_nothing_that_only_building_needs(bundle: str) -> None:
    code = (
        "import sys; from fairlead_edge.main import main; "
        f"status = main(['verify', '--bundle', {bundle!r}]); "
        "heavy = {'onnx', 'sympy', 'torch', 'minio', 'pydantic', 'onnxruntime.quantization'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--scale", "nan", "got 'nan', expected a finite number"),
        ("--offset", "inf", "got 'inf', expected a finite number"),
        ("--max-drop", "nan", "got 'nan', expected a finite number"),
        ("--max-drop", "1.5", "got '1.5', expected a number from 0 to 1"),
        ("--name", "", "got 0 characters, expected 1 to 253"),
        ("--labels", "a," + "b" * 257, "expected at most 10000 labels of at most 256 characters"),
    ],
)
def test_values_out_of_bounds_are_rejected_by_option(
    option: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        build("file:///model", "file:///data", "file:///out", option, value)
    assert f"argument {option}: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "start"), [(zipfile.ZIP_DEFLATED, 35), (zipfile.ZIP_LZMA, 39)])
def test_a_damaged_archive_is_named(tmp_path: Path, method: int, start: int) -> None:
    file = tmp_path / "test.npz"
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in "xy":
            with archive.open(f"{name}.npy", "w") as entry:
                np.save(entry, np.random.default_rng(0).uniform(size=500))
    content = file.read_bytes()
    # the first bytes of x's compressed values
    file.write_bytes(content[:start] + b"\xff" * 8 + content[start + 8 :])
    with pytest.raises(InputUnusable, match=r"test\.npz: is not an archive of plain arrays"):
        load_split(tmp_path, "test", Preprocessing())


def test_unusable_inputs_are_rejected_by_name(
    tmp_path: Path, model: str, save_dataset: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, uri = save_dataset(), (tmp_path / "store" / "bundle").as_uri()
    cases = [
        ((model, dataset, uri, "--split", "eval"), "dataset: got test.npz, train.npz, expected eval.npz"),
        ((dataset, dataset, uri), "is of kind 'dataset', expected 'onnx-model'"),
        ((model, model, uri), "is of kind 'onnx-model', expected 'dataset'"),
    ]
    for arguments, reason in cases:
        assert build(*arguments) == 1
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "store" / "bundle").exists()
