"""The targets, one file each."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the server's own process needs no numpy
    from .base import Target

TARGETS = {
    "onnx": "onnx_fp32",
    "onnx-fp16": "onnx_fp16",
    "onnx-int8": "onnx_int8",
    "onnx-int8-dynamic": "onnx_int8_dynamic",
    "openvino": "openvino_ir",
}
"""The module of each target, by its name. Only that of the target in use is imported, because each needs an engine."""
DEFAULT = "onnx-int8"


class UnknownTarget(Exception):
    """There is no such target, or what it needs is not installed."""


def find_target(name: str) -> "Target":
    """Return a target; raise UnknownTarget."""
    if name not in TARGETS:
        raise UnknownTarget(f"target: got {name!r}, expected one of {', '.join(TARGETS)}")
    try:
        found: Target = importlib.import_module(f"{__name__}.{TARGETS[name]}").TARGET
    except ModuleNotFoundError as error:
        raise UnknownTarget(f"target {name}: {error.name} is not installed") from None
    return found
