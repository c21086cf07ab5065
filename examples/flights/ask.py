"""Ask a served model about the flights of the next hours by their numbers alone, and compare with how they arrived."""

import argparse
import json
import urllib.request
from typing import Any

import numpy as np
import pandas as pd  # type: ignore
from data import LATE_MINUTES, UNTIL, read_flights

KEYS = {"origin": "BYTES", "carrier": "BYTES", "flight": "INT64"}


def main() -> None:
    """Print how many were asked about, and the area under the ROC curve, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="http://host:port/v2/models/NAME")
    parser.add_argument("--hours", type=float, default=6, help="how far ahead of what is known (default: 6)")
    arguments = parser.parse_args()
    flights = read_flights()
    ahead = flights["scheduled"].between(UNTIL, UNTIL + pd.Timedelta(hours=arguments.hours))
    asked = flights[ahead & flights["arr_delay"].notna()]
    scores = predict(arguments.url, asked)
    late = (asked["arr_delay"] > LATE_MINUTES).to_numpy()
    print(json.dumps({"count": len(asked), "late": int(late.sum()), "auc": measure_auc(scores, late)}))


def predict(url: str, flights: pd.DataFrame) -> np.ndarray:
    """Return for each flight how much more likely it is to be late than not, as a logit."""
    inputs = [
        {"name": name, "datatype": kind, "shape": [len(flights), 1], "data": flights[name].tolist()}
        for name, kind in KEYS.items()
    ]
    output = call(f"{url}/infer", {"inputs": inputs})["outputs"][0]
    logits = np.reshape(output["data"], output["shape"])
    return np.asarray(logits[:, 1] - logits[:, 0])


def measure_auc(scores: np.ndarray, late: np.ndarray) -> float:
    """Return how often a late flight has a higher score than one that is not."""
    pairs = scores[late][:, None] - scores[~late][None, :]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def call(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON response to a POST."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return dict(json.load(response))


if __name__ == "__main__":
    main()
