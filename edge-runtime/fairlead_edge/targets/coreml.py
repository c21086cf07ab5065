"""Core ML for Apple's devices, which alone run it: the package's structure is checked where it is built."""

from collections.abc import Mapping

from .base import CannotLoad, Session, Target
from .elsewhere import build_elsewhere


def _load(_files: Mapping[str, bytes], _threads: int) -> Session:
    raise CannotLoad("Core ML runs on Apple's devices alone")


TARGET = Target(
    "coreml",
    "Core ML for iOS 16 and later (an archive of an .mlpackage); not run here",
    ("model.mlpackage.zip",),
    build_elsewhere("coreml"),
    _load,
    runs_here=False,
)
