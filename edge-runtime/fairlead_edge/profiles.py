"""Profiles of targets on this machine: latency, memory, size and start, and which of them no other one beats."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.tensors import Array

from .texts import clean

_SECONDS = 900


@dataclass(frozen=True)
class Profile:
    """A target with a number of threads, as measured one example at a time."""

    target: str
    threads: int
    accuracy: float
    bytes: int
    p50: float
    """Seconds; so are `p99` and `start`."""
    p99: float
    start: float
    """From the files in memory to the first answer."""
    memory: int
    """The largest of the process, Python's own 30 MB and the engine's libraries included."""
    runs: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return asdict(self)


def measure_target(
    name: str, folder: Path, figures: Mapping[str, Any], threads: Sequence[int], examples: Array
) -> Iterator[Profile | str]:
    """Yield the profile of a target's files for each number of threads, or why there is none.

    `figures` are its accuracy and bytes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "examples.npy")
        np.save(file, examples, allow_pickle=False)
        for count in threads:
            command = [sys.executable, "-m", "fairlead_edge.profiling", name, str(count), str(folder), str(file)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                yield f"not done within {_SECONDS} s"
                continue
            if done.returncode:
                yield (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:300]
                continue
            yield Profile(target=name, threads=count, **figures, **json.loads(done.stdout.splitlines()[-1]))


def find_front(profiles: Sequence[Profile]) -> list[Profile]:
    """Return those that no other one beats: it would be as accurate, as fast and as small, and better in one of these.

    Vilfredo Pareto's efficiency, by the median latency.
    """

    def rank(profile: Profile) -> tuple[float, float, int]:
        return (-profile.accuracy, profile.p50, profile.bytes)

    def beats(one: Profile, other: Profile) -> bool:
        return rank(one) != rank(other) and all(a <= b for a, b in zip(rank(one), rank(other), strict=True))

    return [each for each in profiles if not any(beats(other, each) for other in profiles)]


def build_profile_table(found: Sequence[tuple[str, int, Profile | str]]) -> str:
    """Return a table of targets and numbers of threads; those of the front have a star."""
    front = find_front([each for *_, each in found if isinstance(each, Profile)])
    heads = "".join(f"{head:>10}" for head in ("p50 ms", "p99 ms", "start ms"))
    lines = [f"{'target':<20}{'threads':>8}{heads}{'peak MB':>9}{'bytes':>12}{'accuracy':>10}"]
    for name, threads, each in found:
        if isinstance(each, str):
            lines.append(f"{name:<20}{threads:>8}  {clean(each)}")
            continue
        times = "".join(f" {value * 1000:>9.3f}" for value in (each.p50, each.p99, each.start))
        star = "  *" if each in front else ""
        lines.append(
            f"{name:<20}{threads:>8}{times}{each.memory / 1e6:>9.0f}{each.bytes:>12,}{each.accuracy:>10.4f}{star}"
        )
    return "\n".join([*lines, "* no other one is as accurate, as fast and as small, and better in one of these"]) + "\n"
