"""What a target is: how a model is built for an engine, and how it runs there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from fairlead_contracts.tensors import Array, TensorSpec
from numpy.typing import NDArray


class CannotBuild(Exception):
    """The target cannot express the model; the message names what it cannot."""


class CannotLoad(Exception):
    """The engine cannot load the files; the message names it and its version."""


class RunFailed(Exception):
    """The engine rejects the values."""


class RunEnded(Exception):
    """The run was ended from outside."""


class Ending:
    """Ends a run from another thread."""

    def __init__(self) -> None:
        self.is_over = False
        self._act: Callable[[], None] | None = None

    def watch(self, act: Callable[[], None]) -> None:
        """Call `act` when the run is to end; at once if it is already."""
        self._act = act
        if self.is_over:
            act()

    def end(self) -> None:
        """End the run."""
        self.is_over = True
        if self._act:
            self._act()


class Session(Protocol):
    """A loaded model."""

    platform: str
    """The engine and the format, as V2's metadata names them."""
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]

    def run(self, values: Mapping[str, Array], ending: Ending | None = None) -> list[Array]:
        """Return the outputs for inputs by name; raise RunFailed, RunEnded or MemoryError.

        The run ends soon after `ending` says so, as far as the engine allows.
        """


@dataclass(frozen=True)
class Target:
    """A format of models, and the engine that runs it on a device."""

    name: str
    about: str
    """What it is, in a line."""
    files: tuple[str, ...]
    """What `build` writes and `load` reads."""
    build: Callable[[Path, Path, NDArray[np.float32]], None]
    """Write the files into a folder, from an ONNX model and examples of its input for calibration. Raises
    CannotBuild."""
    load: Callable[[Mapping[str, bytes], int], Session]
    """Load the files by name, to be run by so many threads; raises CannotLoad. Nothing is read from disk."""
    runs_here: bool = True
    """Whether its engine exists for the machines that build bundles. Without it there are no figures, and no bundle."""
