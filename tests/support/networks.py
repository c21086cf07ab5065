"""A small network of two layers, as ONNX, with examples that it classifies: what parity tests compare and ruin."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.support import onnx_models as onnx

SIZE, HIDDEN, CLASSES = 16, 32, 6
_MARGIN = 0.2
"""How much larger the largest score of an example is than the next, in standard deviations of all scores."""
Weights = Mapping[str, np.ndarray]


def make_weights(seed: int = 3) -> dict[str, np.ndarray]:
    """Return random weights; the mean of the output values for uniform examples of -1 to 1 is about 0."""
    random = np.random.default_rng(seed)
    weights = {
        "w1": random.normal(0, SIZE**-0.5, (SIZE, HIDDEN)),
        "b1": random.normal(0, 0.3, HIDDEN),
        "w2": random.normal(0, 2 * HIDDEN**-0.5, (HIDDEN, CLASSES)),
        "b2": np.zeros(CLASSES),
    }
    weights["b2"] = random.normal(0, 0.1, CLASSES) - answer(weights, draw(4000, seed)).mean(axis=0)
    return weights


def draw(rows: int, seed: int) -> np.ndarray:
    """Return examples."""
    return np.random.default_rng(seed).uniform(-1, 1, (rows, SIZE)).astype(np.float32)


def answer(weights: Weights, x: np.ndarray) -> np.ndarray:
    """Return the network's outputs."""
    return np.maximum(x @ weights["w1"] + weights["b1"], 0) @ weights["w2"] + weights["b2"]


def make_examples(weights: Weights, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return examples that the network tells apart as a trained one does, and their classes.

    Of 25 examples, one has another class than the network predicts.
    """
    x = draw(3 * rows, seed)
    scores = answer(weights, x)
    best = np.sort(scores, axis=1)
    clear = np.flatnonzero(best[:, -1] - best[:, -2] > _MARGIN * scores.std())[:rows]
    x, y = x[clear], scores[clear].argmax(axis=1)
    y[::25] = (y[::25] + 1) % CLASSES
    return x, y


def network(weights: Weights, activation: str = "Relu", centered: bool = False) -> bytes:
    """Return the network; if centered, the mean of all output values is subtracted from each.

    With `w3` and `b3` it has a second output, `more`; `factor`, of FP64, multiplies the first.
    """
    nodes = [
        onnx.node("MatMul", ["input", "w1"], ["m1"]),
        onnx.node("Add", ["m1", "b1"], ["a1"]),
        onnx.node(activation, ["a1"], ["h"]),
        onnx.node("MatMul", ["h", "w2"], ["m2"]),
        onnx.node("Add", ["m2", "b2"], ["a2" if centered else "logits"]),
    ]
    if centered:
        nodes += [onnx.node("ReduceMean", ["a2"], ["mean"]), onnx.node("Sub", ["a2", "mean"], ["logits"])]
    outputs = [("logits", "FP32", ["batch", weights["w2"].shape[1]])]
    if "w3" in weights:
        nodes += [onnx.node("MatMul", ["h", "w3"], ["m3"]), onnx.node("Add", ["m3", "b3"], ["more"])]
        outputs.append(("more", "FP32", ["batch", weights["w3"].shape[1]]))
    tensors = [onnx.tensor(name, np.asarray(array, np.float32)) for name, array in weights.items() if name != "factor"]
    if "factor" in weights:
        nodes += [onnx.node("Cast", ["logits"], ["wide"], to=11), onnx.node("Mul", ["wide", "factor"], ["scores"])]
        outputs[0] = ("scores", "FP64", ["batch", weights["w2"].shape[1]])
        tensors.append(onnx.tensor("factor", np.asarray(weights["factor"], np.float64)))
    return onnx.model(nodes, [("input", "FP32", ["batch", SIZE])], outputs, tensors)


def write_dataset(folder: Path, weights: Weights, rows: int = 600, **more: np.ndarray) -> None:
    """Write a calibration and a held-out split; `more` are arrays of the held-out one."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate({"train": 200, "test": rows}.items(), 11):
        x, y = make_examples(weights, count, seed)
        np.savez(folder / f"{split}.npz", **({"x": x, "y": y} | (more if split == "test" else {})))
