"""Publish scikit-learn's 1,797 handwritten digits as a dataset: train, eval and held-out test images, and a table."""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np
from fairlead_artifacts import publish
from numpy.typing import NDArray
from sklearn.datasets import load_digits  # type: ignore

PRODUCER = "digits-data/0.1.0"
SEED = 20
SIZES = {"train": 1197, "eval": 300, "test": 300}
CORRUPTED = 40

Split = tuple[NDArray[np.float32], NDArray[np.int64]]


def main() -> None:
    """Publish the dataset and print its URI and digest as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uri", required=True, help="URI of the dataset: file:///… or s3://bucket/…")
    parser.add_argument(
        "--corrupt", action="store_true", help=f"set {CORRUPTED} pixels far out of range, so that the validation fails"
    )
    arguments = parser.parse_args()
    splits = split_digits(arguments.corrupt)
    with tempfile.TemporaryDirectory() as folder:
        for name, (images, labels) in splits.items():
            np.savez(Path(folder, f"{name}.npz"), x=images, y=labels)
        write_table(Path(folder, "columns.csv"), splits)
        manifest = publish(
            folder,
            arguments.uri,
            kind="dataset",
            producer=PRODUCER,
            parameters={"seed": SEED, "corrupt": arguments.corrupt, **SIZES},
        )
    print(json.dumps({"uri": arguments.uri, "digest": manifest.digest}))


def split_digits(corrupt: bool) -> dict[str, Split]:
    """Return each split's images, float32 [n, 1, 8, 8] of raw values 0 to 16, and labels, int64 [n]."""
    digits = load_digits()
    images = digits.images.astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.int64)
    random = np.random.default_rng(SEED)
    order = random.permutation(len(images))
    if corrupt:
        # As if some of the images came from a scanner with another scale.
        images[order[:CORRUPTED], 0, 4, 4] = 255
    ends = np.cumsum(list(SIZES.values()))
    parts = np.split(order, ends[:-1])
    return {name: (images[part], labels[part]) for name, part in zip(SIZES, parts, strict=True)}


def write_table(file: Path, splits: dict[str, Split]) -> None:
    """Write a CSV table with one row per image: split, label and 64 pixels."""
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["split", "label", *(f"pixel_{row}_{column}" for row in range(8) for column in range(8))])
        for name, (images, labels) in splits.items():
            for image, label in zip(images, labels, strict=True):
                writer.writerow([name, int(label), *(f"{value:g}" for value in image.ravel())])


if __name__ == "__main__":
    main()
