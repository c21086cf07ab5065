"""A small client for the edge server, and bundles of a small network."""

import dataclasses
import http.client
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import publish
from fairlead_edge import build as building
from fairlead_edge.main import main
from fairlead_edge.targets import find_target
from fairlead_edge.targets.base import Target

from tests.support import networks

_START_SECONDS = 60


def _ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def ask() -> Callable[..., tuple[int, Any]]:
    """Return a function that sends a request; it returns the status and the answer."""
    return _ask


@pytest.fixture
def wait_ready() -> Callable[..., None]:
    """Return a function that waits until a server is ready."""

    def wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, log.read_text()
            try:
                if _ask(port, "GET", "/v2/health/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready within {_START_SECONDS} s: {log.read_text()}")

    return wait


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., int]:
    """Return a function that publishes a source and a dataset, and builds a bundle of them."""

    def run(
        target: str,
        *more: str,
        source: bytes = b"",
        data: networks.Weights | None = None,
        compare: bool = False,
        splits: dict[str, dict[str, Any]] | None = None,
        **arrays: Any,
    ) -> int:
        weights, folder = networks.make_weights(), tmp_path / "model"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(source or networks.network(weights))
        publish(folder, (tmp_path / "store" / "model").as_uri(), kind="onnx-model", producer="tests/0")
        networks.write_dataset(tmp_path / "data", data or weights, **arrays)
        for name, values in (splits or {}).items():
            np.savez(tmp_path / "data" / f"{name}.npz", **values)
        publish(tmp_path / "data", (tmp_path / "store" / "data").as_uri(), kind="dataset", producer="tests/0")
        uris = [(tmp_path / "store" / name).as_uri() for name in ("model", "data", "bundle")]
        command = ["compare"] if compare else ["build", "--out-uri", uris[2]]
        return main([*command, "--target", target, "--model", uris[0], "--dataset", uris[1], *more])

    return run


@pytest.fixture
def replace_build(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Return a function that lets targets build what another function does."""

    def run(build: Callable[..., Any]) -> None:
        def find_changed(name: str) -> Target:
            return dataclasses.replace(find_target(name), build=build)

        monkeypatch.setattr(building, "find_target", find_changed)

    return run
