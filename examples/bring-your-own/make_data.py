"""Write a table of made-up houses as CSV: size, rooms, age, distance to the centre, and price."""

import csv
import random
import sys

ROWS, SEED = 4000, 7


def main() -> None:
    """Write the file that is named on the command line."""
    chosen = random.Random(SEED)
    with open(sys.argv[1], "w", newline="") as file:  # noqa: PTH123 - as short as an example may be
        writer = csv.writer(file)
        writer.writerow(["size", "rooms", "age", "distance", "price"])
        for _ in range(ROWS):
            size, age, distance = chosen.uniform(30, 250), chosen.uniform(0, 80), chosen.uniform(0, 30)
            rooms = max(1, round(size / 28 + chosen.gauss(0, 0.7)))
            price = 2.4 * size + 9 * rooms - 0.8 * age - 5 * distance + 60 + chosen.gauss(0, 12)
            writer.writerow([f"{size:.1f}", rooms, f"{age:.1f}", f"{distance:.2f}", f"{price:.1f}"])


if __name__ == "__main__":
    main()
