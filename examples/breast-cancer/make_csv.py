"""Write scikit-learn's breast cancer data as another team would send it: a CSV file with a key and class names."""

import csv
import sys

from sklearn.datasets import load_breast_cancer


def main() -> None:
    """Write the file that is named on the command line."""
    data = load_breast_cancer()
    with open(sys.argv[1], "w", newline="") as file:  # noqa: PTH123 - as short as an example may be
        writer = csv.writer(file)
        writer.writerow(["patient", *(name.replace(" ", "_") for name in data.feature_names), "diagnosis"])
        for patient, (values, target) in enumerate(zip(data.data, data.target, strict=True), start=1):
            writer.writerow([patient, *map(float, values), data.target_names[target]])


if __name__ == "__main__":
    main()
