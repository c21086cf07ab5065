"""Where models run: on a GPU, if ONNX Runtime was built for it and finds one, else on the CPU, and why.

ONNX Runtime looks for the GPU when it opens a model. What it lacks is then in its log alone, and the model runs on the
CPU. So the driver is asked first, which also spares a machine without a GPU the libraries' hundreds of megabytes.
"""

import contextlib
import ctypes
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.base import to_line
from fairlead_contracts.devices import MAX_PROBLEM, Provider
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # type: ignore[import-untyped]

CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# With TF32, on by default, GPUs would round inputs of products to 10 bits, and answer otherwise than what was verified.
_CUDA_OPTIONS = {"use_tf32": "0"}
_NO_CUDA = "this image's ONNX Runtime was built without CUDA"
_CUDA_FAILURE = re.compile(r"CU[A-Z]+ failure -?\d+: [^;\n]+")
_SILENT = 4
# What opening a model on a GPU may raise: ONNX Runtime's exceptions have no common base except Exception.
_OPENING_ERRORS = (
    ort_errors.Fail, ort_errors.RuntimeException, ort_errors.NotImplemented, ort_errors.EPFail, RuntimeError, ValueError
)  # fmt: skip


@dataclass(frozen=True)
class Device:
    """Where a model runs."""

    provider: Provider
    problem: str | None = None
    """Why it is not CUDA; None if it is."""


def has_cuda() -> bool:
    """Return whether ONNX Runtime was built with CUDA."""
    return _CUDA in ort.get_available_providers()


def open_on_device(
    content: str | bytes, options: ort.SessionOptions, problem: str | None
) -> tuple[ort.InferenceSession, Device]:
    """Open a model on a GPU, unless there is a problem with it, else on the CPU; raise what ONNX Runtime raises."""
    if problem is None:
        try:
            # enable_fallback would print, and hide why
            session = ort.InferenceSession(content, options, providers=[(_CUDA, _CUDA_OPTIONS), CPU], enable_fallback=0)
        except _OPENING_ERRORS as error:
            problem = _to_problem(f"ONNX Runtime cannot open the model on the GPU: {_find_cause(str(error))}")
        else:
            if _CUDA in session.get_providers():
                return session, Device("CUDA")
            return session, Device("CPU", "ONNX Runtime cannot load its library for CUDA")
    return ort.InferenceSession(content, options, providers=[CPU]), Device("CPU", problem)


@cache
def find_problem() -> str | None:
    """Return why no model can run on a GPU, or None; asked once in a process. This call blocks."""
    if not has_cuda():
        return _NO_CUDA
    # what it would log is said here
    ort.set_default_logger_severity(_SILENT)
    return ask_driver(ctypes.CDLL) or _load_libraries(ort.preload_dlls)


def ask_driver(load: Callable[[str], Any]) -> str | None:
    """Return why NVIDIA's driver has no GPU for this process, or None; `load` loads a library by its name."""
    try:
        driver = load("libcuda.so.1")
    except OSError as error:
        return _to_problem(f"there is no NVIDIA driver here: {error}")
    count = ctypes.c_int(0)
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return _to_problem(f"NVIDIA's driver finds no GPU: {_describe_error(driver, code)}")
    return None if count.value else "NVIDIA's driver finds no GPU"


def _load_libraries(preload: Callable[..., None]) -> str | None:
    """Load CUDA's libraries from the packages beside ONNX Runtime, or from the system; return what is missing."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        preload(msvc=False, directory="")
    lines: Mapping[str, None] = dict.fromkeys(line for line in said.getvalue().splitlines() if "Failed to load" in line)
    return _to_problem(f"CUDA's libraries cannot be loaded: {next(iter(lines))}") if lines else None


def _describe_error(driver: Any, code: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    return f"{(text.value or b'unknown error').decode('utf-8', 'replace')} (error {code})"


def _find_cause(text: str) -> str:
    """Return what CUDA says in one of ONNX Runtime's messages, which begin with long names of functions."""
    found = _CUDA_FAILURE.search(text)
    return found[0].strip() if found else text.removeprefix("[ONNXRuntimeError] : ")


def _to_problem(text: str) -> str:
    return to_line(text, MAX_PROBLEM)
