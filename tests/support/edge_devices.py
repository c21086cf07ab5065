"""Releases of a small network for a device, and the device's server."""

import contextlib
import hashlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_artifacts import publish
from fairlead_contracts.edge_bundle import BUNDLE_FILE, KIND, BundleDescription, Preprocessing
from fairlead_edge.device.folder import Damaged, Folder
from fairlead_edge.device.slots import Slots
from fairlead_edge.self_test import write_self_test
from fairlead_edge.targets import find_target

from tests.support import networks
from tests.support.ports import free_port

COMMAND = str(Path(sys.executable).with_name("fairlead-edge"))
NAME = "wind"
CASES = networks.draw(16, 5)
_START_SECONDS = 60
_FULL = ("prlimit", "--fsize=16")
"""Ends each write to a file after 16 bytes, whoever runs the tests."""


@dataclass
class Release:
    """A published release, and the weights that it answers with."""

    uri: str
    digest: str
    weights: networks.Weights


def publish_release(
    store: Path, version: int, *, seed: int = 0, model: bytes = b"", cases: bool = True, **changes: Any
) -> Release:
    """Publish a release of the network with the weights of a seed, which answers its self-test as `model` does."""
    weights = networks.make_weights(seed or version)
    folder = store.parent / f"release-{version}-{len(list(store.glob('*')))}"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(networks.network(weights))
    session = find_target("onnx").load({"model.onnx": networks.network(weights)}, 1)
    self_test = write_self_test(folder, session, CASES, Preprocessing()) if cases else None
    (folder / "model.onnx").write_bytes(model or networks.network(weights))
    values: dict[str, Any] = {
        "name": NAME,
        "preprocessing": Preprocessing(),
        "labels": (),
        "target": "onnx",
        "files": {"model.onnx": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()},
        "version": version,
        "self_test": self_test,
    }
    (folder / BUNDLE_FILE).write_text(BundleDescription(**(values | changes)).to_text())
    uri = (store / folder.name).as_uri()
    return Release(uri, publish(folder, uri, kind=KIND, producer="tests/0").digest, weights)


@dataclass
class Device:
    """A device's folder, and its server while that runs."""

    state: Path
    log: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def run(self, *arguments: str, full: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run a command on the device, perhaps where nothing can be written."""
        command = [*(_FULL if full else ()), COMMAND, arguments[0], "--state", str(self.state), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS)

    def install(self, release: Release, *more: str) -> "subprocess.CompletedProcess[str]":
        """Install a release by its digest."""
        return self.run("install", "--bundle", release.uri, "--digest", release.digest, *more)

    def start(self, *more: str, probation: float = 0.3, variables: Mapping[str, str] | None = None) -> None:
        """Start the server."""
        arguments = ["serve", "--state", str(self.state), "--port", str(self.port), "--probation", str(probation)]
        environment = {**os.environ, "FAIRLEAD_BIND_ADDRESS": "127.0.0.1", **(variables or {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([COMMAND, *arguments, *more], stderr=log, env=environment)

    def stop(self) -> None:
        """End the server without a warning, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def answer(self) -> tuple[int, Any]:
        """Send the cases; return the status and the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        tensor = {"name": "input", "datatype": "FP32", "shape": list(CASES.shape), "data": CASES.ravel().tolist()}
        with contextlib.closing(connection):
            connection.request("POST", f"/v2/models/{NAME}/infer", json.dumps({"inputs": [tensor]}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def find_answering(self, releases: Sequence[Release]) -> Release | None:
        """Return the release that answers, or None if nothing does; fail if it is another one."""
        try:
            status, answer = self.answer()
        except OSError:
            return None
        if status != 200:
            assert status in (404, 503), answer
            return None
        output = answer["outputs"][0]
        found = np.reshape(output["data"], output["shape"])
        same = [each for each in releases if np.allclose(found, networks.answer(each.weights, CASES), atol=1e-4)]
        assert same, answer
        return same[0]

    def wait(self, release: Release, others: Sequence[Release] = ()) -> None:
        """Wait until a release answers; until then, only the others do."""
        self.wait_until(lambda: self.find_answering([release, *others]) is release, "does not answer")

    def wait_settled(self) -> Slots:
        """Wait until nothing is on trial or offered; return the state."""
        self.wait_until(self._is_settled, "a trial does not end")
        return self.read()

    def read(self) -> Slots:
        """Return the state."""
        return Folder(self.state).read_slots() or Slots()

    def _is_settled(self) -> bool:
        try:
            slots, offer = self.read(), Folder(self.state).read_offer()
        except Damaged:
            return False
        return slots.candidate is None and offer is not None and slots.handled == offer.sequence

    def wait_until(self, holds: Callable[[], bool], problem: str) -> None:
        """Wait until something holds while the server runs."""
        end = time.monotonic() + _START_SECONDS
        while not holds():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"{problem}: {self.log.read_text()}"
            time.sleep(0.05)
