"""The targets, one file each."""

import importlib
from typing import TYPE_CHECKING

from fairlead_contracts.errors import shorten

if TYPE_CHECKING:  # the server's own process needs no numpy
    from .base import Target

TARGETS = {
    "onnx": "onnx_fp32",
    "onnx-fp16": "onnx_fp16",
    "onnx-int8": "onnx_int8",
    "onnx-int8-dynamic": "onnx_int8_dynamic",
    "onnx-int8-tensorrt": "onnx_int8_tensorrt",
    "onnx-ort": "onnx_ort",
    "openvino": "openvino_ir",
    "litert": "litert",
    "litert-int8": "litert_int8",
    "executorch": "executorch_pte",
    "coreml": "coreml",
}
"""The module of each target, by its name. Only that of the target in use is imported, because each needs an engine."""
BUILT_ELSEWHERE = ("litert", "litert-int8", "executorch", "coreml")
"""The targets whose builders are programs of their own, in environments of their own."""
RETIRED = {
    "pytorch-mobile": "executorch",
    "torchscript": "executorch",
    "tflite": "litert",
    "fritz": "litert on Android and coreml on Apple's devices",
}
"""What took the place of formats and platforms that are no longer maintained, by their names in lowercase."""
DEFAULT = "onnx-int8"


class UnknownTarget(Exception):
    """There is no such target, or what it needs is not installed."""


def find_target(name: str) -> "Target":
    """Return a target; raise UnknownTarget."""
    check_name(name)
    try:
        found: Target = importlib.import_module(f"{__name__}.{TARGETS[name]}").TARGET
    except ModuleNotFoundError as error:
        raise UnknownTarget(f"target {name}: {error.name} is not installed") from None
    return found


def check_name(name: str) -> None:
    """Raise UnknownTarget if no target has this name; of a retired one, say what took its place."""
    successor = RETIRED.get(name.lower().replace("_", "-").replace(" ", "-"))
    if successor:
        raise UnknownTarget(f"target: {name} is retired: use {successor}")
    if name not in TARGETS:
        raise UnknownTarget(f"target: got {shorten(name)}, expected one of {', '.join(TARGETS)}")
