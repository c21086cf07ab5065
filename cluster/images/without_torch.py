"""Print pinned requirements without PyTorch and its GPU libraries: images with Debian's torch install the rest."""

import re
import sys
from pathlib import Path

_DROPPED = re.compile(r"(torch|triton|cuda-[\w-]+|nvidia-[\w-]+)==")


def main() -> None:
    """Filter the file named on the command line; an entry's hashes stand on the lines below it."""
    keep = True
    for line in Path(sys.argv[1]).read_text().splitlines():
        if not line.startswith((" ", "#")):
            keep = not _DROPPED.match(line)
        if keep:
            sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
