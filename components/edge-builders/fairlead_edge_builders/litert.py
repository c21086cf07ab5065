"""LiteRT: a .tflite file by litert-torch, in 32 bits, or in 8 by the ranges of activations on examples."""

from pathlib import Path
from typing import Any

import numpy as np

from .errors import CannotBuild, first_line
from .importing import Program

FILE = "model.tflite"
_SIGNATURE = "serving_default"
_CALIBRATED = 100
"""How many examples calibrate at most: one at a time takes long."""
_MIN_EXAMPLES = 16
_THREADS = 1


def build_litert(program: Program, folder: Path) -> None:
    """Write the model in 32 bits; raise CannotBuild."""
    import litert_torch

    try:
        litert_torch.convert(program.module, (program.sample,)).export(str(folder / FILE))
    except Exception as error:  # noqa: BLE001 - the converter's exceptions have no other base
        got = first_line(error)
        raise CannotBuild(f"litert-torch {litert_torch.__version__} cannot express the model: {got}") from None


def build_litert_int8(program: Program, folder: Path) -> None:
    """Write the model with 8-bit weights and activations; its input and outputs stay as they are."""
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    if len(program.examples) < _MIN_EXAMPLES:
        raise CannotBuild(f"calibration: got {len(program.examples)} examples, expected at least {_MIN_EXAMPLES}")
    if not program.sample.is_floating_point():
        raise CannotBuild(f"input {program.input}: got INT64, expected FP32: integers cannot be calibrated")
    build_litert(program, folder)
    file = folder / FILE
    try:
        work = quantizer.Quantizer(file.read_bytes())
        work.load_quantization_recipe(recipe.static_wi8_ai8())
        for place in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            work.update_quantization_recipe(".*", place, algorithm_key=AlgorithmName.NO_QUANTIZE)
        file.write_bytes(bytes(work.quantize(_calibrate(work, program)).quantized_model))
    except Exception as error:  # noqa: BLE001 - the quantizer's exceptions have no other base
        raise CannotBuild(f"ai-edge-quantizer cannot quantize the model: {first_line(error)}") from None


def _calibrate(work: Any, program: Program) -> dict[str, dict[str, Any]]:
    """Return the smallest and the largest value of each tensor on the examples.

    The quantizer itself keeps a moving average over examples, which cuts the largest values off.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in program.examples[:_CALIBRATED]:
        for name, ranges in work.calibrate({_SIGNATURE: [{"args_0": row[None]}]}, num_threads=_THREADS).items():
            known = found.setdefault(name, dict(ranges))
            for end, choose in (("min", np.minimum), ("max", np.maximum)):
                if end in ranges:
                    known[end] = choose(known[end], ranges[end])
    return found
