"""Write the worked example's report as one HTML file: the loss curve, digits with their predictions, the figures."""

import argparse
import base64
import html
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from fairlead_artifacts import fetch
from fairlead_contracts.parity import BundleParity

matplotlib.use("Agg")
from matplotlib import pyplot

_SHOWN = 40

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Fairlead: the digits, from raw data to the edge</title>
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b2733 }}
 h1 {{ margin-bottom: 0 }} h2 {{ margin-top: 2.2rem }} img {{ max-width: 100% }}
 table {{ border-collapse: collapse }} td, th {{ padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top }}
 td {{ border-top: 1px solid #dde3e9 }} code {{ font-size: .82rem; overflow-wrap: anywhere }}
 .big {{ font-size: 2.2rem; font-weight: 600 }} .big small {{ font-size: 1rem; font-weight: 400 }}
</style>
<h1>Fairlead: the digits</h1>
<p>From raw data to predictions over HTTP, and to a bundle for the edge.</p>
<p class="big">{accuracy:.2%} <small>accuracy on {count} held-out digits, over HTTP</small></p>
<h2>Training</h2><img alt="Loss and accuracy over the steps" src="{curve}">
<h2>Digits with their predictions</h2><img alt="Digits with their predictions" src="{digits}">
<h2>For the edge</h2>{edge}
<h2>Provenance</h2>{chain}
</html>
"""


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True, help="the results of the stages, as JSON")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    facts = json.loads(arguments.facts.read_text())
    predictions = json.loads(Path(facts["predictions"]).read_text())
    page = _PAGE.format(
        accuracy=predictions["accuracy"],
        count=len(predictions["digits"]),
        curve=draw_training(read_history(facts["model"])),
        digits=draw_digits(predictions["digits"]),
        edge=build_edge_table(BundleParity.parse(facts["edge"]["parity"], "edge.parity")),
        chain=build_chain(facts),
    )
    arguments.out.write_text(page)


def read_history(model: dict[str, str]) -> list[dict[str, float]]:
    """Return the training history, one entry per step, which the script saved with the model."""
    with tempfile.TemporaryDirectory() as folder:
        fetch(model["uri"], folder, model["digest"])
        return list(json.loads(Path(folder, "history.json").read_text()))


def draw_training(history: list[dict[str, float]]) -> str:
    """Return the loss over the steps and the accuracy on the eval split over the epochs, as an image."""
    figure, axes = pyplot.subplots(figsize=(9, 3.2))
    axes.plot(
        [entry["step"] for entry in history],
        [entry["loss"] for entry in history],
        color="#2a6f97",
        linewidth=1,
        label="loss, training",
    )
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    right = axes.twinx()
    evaluated = [entry for entry in history if "evalAccuracy" in entry]
    steps, accuracies = [entry["step"] for entry in evaluated], [entry["evalAccuracy"] for entry in evaluated]
    right.plot(steps, accuracies, color="#e07a1f", marker=".", label="accuracy, eval")
    right.set_ylabel("accuracy")
    right.set_ylim(top=1.005)
    figure.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2, frameon=False)
    return as_image(figure)


def draw_digits(digits: list[dict[str, Any]]) -> str:
    """Return the first digits with their predictions as an image: every mistake first, in red."""
    wrong = [digit for digit in digits if digit["label"] != digit["predicted"]]
    right = [digit for digit in digits if digit["label"] == digit["predicted"]]
    figure, axes = pyplot.subplots(4, _SHOWN // 4, figsize=(9, 4.4))
    for axis, digit in zip(axes.flat, wrong + right, strict=False):
        axis.imshow(np.reshape(digit["pixels"], (8, 8)), cmap="gray_r", vmin=0, vmax=16)
        mistaken = digit["label"] != digit["predicted"]
        title = f"{digit['predicted']}, is {digit['label']}" if mistaken else str(digit["predicted"])
        axis.set_title(title, fontsize=10, color="#c1121f" if mistaken else "#2f6b3c", pad=3)
        axis.set_axis_off()
    return as_image(figure)


def build_edge_table(parity: BundleParity) -> str:
    """Return a table of the bundle's figures and the source model's."""
    rows = [
        ("", "source (FP32)", "bundle (INT8)"),
        ("accuracy", f"{parity.accuracy_before:.4f}", f"{parity.accuracy_after:.4f}"),
        ("size in bytes", f"{parity.bytes_before:,}", f"{parity.bytes_after:,}"),
        ("same answer as the source", "", f"{parity.agreement:.2%}"),
    ]
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def build_chain(facts: dict[str, Any]) -> str:
    """Return a table of the artifacts with their digests."""
    rows = [
        f"<tr><td>{name}</td><td><code>{facts[name]['digest']}</code><br><code>{html.escape(facts[name]['uri'])}</code>"
        for name in ("dataset", "validation", "model", "onnx", "scaler", "edge")
    ]
    return "<table>" + "".join(rows) + "</table>"


def as_image(figure: Any) -> str:
    """Return a figure as a data: URI."""
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    main()
