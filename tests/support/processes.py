"""The processes below another one, as the kernel lists them."""

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants_of(pid: int) -> list[int]:
    """Return the ids of a process's children, of their children, and so on, parents first."""
    return [found for child in children_of(pid) for found in (child, *descendants_of(child))]
