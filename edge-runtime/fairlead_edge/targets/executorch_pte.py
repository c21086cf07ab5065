"""ExecuTorch with XNNPACK, one example at a time.

Its runtime for Python needs torch, so that a model is run by `fairlead-edge-builders`, in a process of its own. Apps
run the file with ExecuTorch's libraries for Kotlin, Swift and C++.
"""

import json
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from fairlead_contracts.edge_builders import COMMAND, MAX_FRAME, MAX_HEAD, pack, read_frame, unpack, write_frame
from fairlead_contracts.tensors import Array, TensorSpec

from .base import CannotLoad, Ending, RunEnded, RunFailed, Target
from .elsewhere import build_elsewhere, build_environment, find_command

_FILE = "model.pte"


class _ExecuTorchSession:
    """A program of ExecuTorch in a process of the builders' environment."""

    platform = "executorch"

    def __init__(self, files: Mapping[str, bytes], threads: int) -> None:
        """Start the process; raise CannotLoad."""
        program = find_command()
        if program is None:
            raise CannotLoad(f"{COMMAND}, which runs ExecuTorch here, is not installed: see docs/guides/edge.md")
        # one, unless more are asked for: on a busy machine the threads of XNNPACK wait for each other at every operator
        self._process = subprocess.Popen(
            [program, "run", "--threads", str(threads or 1)],
            env=build_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin and self._process.stdout  # both are pipes
        self._requests, self._replies, self._lock = self._process.stdin, self._process.stdout, threading.Lock()
        try:
            write_frame(self._requests, files[_FILE])
            head = self._read_head()
        except (OSError, RunFailed) as error:
            self.close()
            raise CannotLoad(f"ExecuTorch cannot load the model: {error}") from None
        self.inputs = [_read_spec("input", place, each) for place, each in enumerate(head["inputs"])]
        self.outputs = [_read_spec("output", place, each) for place, each in enumerate(head["outputs"])]

    def run(self, values: Mapping[str, Array], ending: Ending | None = None) -> list[Array]:
        """Return the outputs; the end of a run is that of the process."""
        with self._lock:
            if ending:
                ending.watch(self._process.kill)
            try:
                write_frame(self._requests, pack(np.ascontiguousarray(values[self.inputs[0].name])))
                count = self._read_head()["outputs"]
                return [unpack(self._read()) for _ in range(count)]
            except (OSError, KeyError, ValueError, RunFailed) as error:
                if ending and ending.is_over:
                    raise RunEnded from None
                raise RunFailed(str(error)[:300]) from None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __del__(self) -> None:
        """End the process with the session."""
        if process := getattr(self, "_process", None):
            process.kill()
            process.wait()
            self._requests.close()
            self._replies.close()

    def _read_head(self) -> dict[str, Any]:
        head: dict[str, Any] = json.loads(self._read(MAX_HEAD))
        if "error" in head:
            raise RunFailed(head["error"])
        return head

    def _read(self, most: int = MAX_FRAME) -> bytes:
        content = read_frame(self._replies, most)
        if content is None:
            raise RunFailed(f"{COMMAND} ended")
        return content


def _read_spec(name: str, place: int, tensor: Mapping[str, Any]) -> TensorSpec:
    """Return a tensor; a program has no names."""
    return TensorSpec(f"{name}_{place}", tensor["datatype"], tuple(tensor["shape"]))


TARGET = Target(
    "executorch",
    "ExecuTorch with XNNPACK for Android, iOS and Linux, 32 bits",
    (_FILE,),
    build_elsewhere("executorch"),
    _ExecuTorchSession,
)
