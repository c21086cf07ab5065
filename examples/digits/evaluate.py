"""Send the held-out digits to a served model over HTTP, in batches, and measure its accuracy."""

import argparse
import json
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_artifacts import fetch


def main() -> None:
    """Print count and accuracy as JSON; write every prediction to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="http://host:port/v2/models/NAME")
    parser.add_argument("--dataset", required=True, help="the dataset artifact's URI")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fetch(arguments.dataset, folder)
        split = np.load(Path(folder, "test.npz"))
        images, labels = split["x"], split["y"]
    predicted: list[int] = []
    name = call(arguments.url)["inputs"][0]["name"]
    for start in range(0, len(images), arguments.batch_size):
        predicted += classify(arguments.url, name, images[start : start + arguments.batch_size])
    accuracy = float(np.mean(np.array(predicted) == labels))
    pictures = [
        {"label": int(label), "predicted": guess, "pixels": image.ravel().tolist()}
        for image, label, guess in zip(images, labels, predicted, strict=True)
    ]
    arguments.out.write_text(json.dumps({"accuracy": accuracy, "digits": pictures}))
    print(json.dumps({"count": len(labels), "accuracy": accuracy}))


def classify(url: str, name: str, images: np.ndarray) -> list[int]:
    """Return the most likely digit of each image, float32 [n, 1, 8, 8] of raw values 0 to 16."""
    tensor = {"name": name, "datatype": "FP32", "shape": list(images.shape), "data": images.ravel().tolist()}
    output = call(f"{url}/infer", {"inputs": [tensor]})["outputs"][0]
    return [int(best) for best in np.reshape(output["data"], output["shape"]).argmax(axis=1)]


def call(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON response to a GET, or to a POST if there is a body."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as response:
        return dict(json.load(response))


if __name__ == "__main__":
    main()
