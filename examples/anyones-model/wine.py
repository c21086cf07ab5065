"""A scikit-learn pipeline on a table of numbers and texts: writes model/ and data/ into the folder that is named.

Needs scikit-learn, pandas and skops; nothing of Fairlead.
"""

import json
import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS, TEXTS = ["alcohol", "flavanoids", "color_intensity"], ["hue"]


def main(folder: Path) -> None:
    """Train on three quarters of the wines, and keep the others for the comparison."""
    wine = load_wine(as_frame=True)
    table = wine.data[NUMBERS].astype(np.float32)
    table["hue"] = np.where(wine.data["hue"] < 0.8, "brick", np.where(wine.data["hue"] < 1.1, "ruby", "purple"))
    classes = wine.target_names.astype(str)[wine.target]
    train, test, train_classes, test_classes = train_test_split(table, classes, random_state=0, stratify=classes)

    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), NUMBERS),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXTS),
        ]
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000))
    pipeline.fit(train, train_classes)

    for name in ("model", "data"):
        (folder / name).mkdir(parents=True)
    skops.io.dump(pipeline, folder / "model" / "model.skops")
    # One input a column, with the column's name and data type; the outputs get the usual names.
    inputs = [{"name": name, "dtype": "FP32", "shape": [-1, 1]} for name in NUMBERS]
    inputs += [{"name": name, "dtype": "BYTES", "shape": [-1, 1]} for name in TEXTS]
    (folder / "model" / "signature.json").write_text(json.dumps({"inputs": inputs, "outputs": []}))
    # One array a column, texts as numpy's type U, and the labels y.
    arrays = {name: test[name].to_numpy() for name in NUMBERS} | {name: test[name].to_numpy(str) for name in TEXTS}
    np.savez(folder / "data" / "eval.npz", **arrays, y=test_classes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
