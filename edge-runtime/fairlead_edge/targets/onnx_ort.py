"""ONNX Runtime's own format, which its builds for browsers and phones read without a parser of ONNX."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .base import CannotBuild, Target
from .onnx_session import OnnxSession

_FILE = "model.ort"


def _build(source: Path, folder: Path, _examples: NDArray[np.float32]) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # not all optimizations: the last ones arrange weights for the processor at hand
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / _FILE)
    options.add_session_config_entry("session.save_model_format", "ORT")
    try:
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
        raise CannotBuild(f"ONNX Runtime {ort.__version__} cannot express the model: {str(error)[:300]}") from None


def _load(files: Mapping[str, bytes], threads: int) -> OnnxSession:
    return OnnxSession(files[_FILE], threads)


TARGET = Target("onnx-ort", "ONNX Runtime Web and Mobile (ORT format), 32 bits", (_FILE,), _build, _load)
