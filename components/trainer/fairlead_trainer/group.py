"""The processes of a run as seen by a script: torch.distributed, Horovod, or one process alone."""

import sys
from typing import Any, Protocol


class Group(Protocol):
    """The processes that train together. Every process calls each method, in the same order."""

    @property
    def rank(self) -> int:
        """Return this process's rank."""

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in order."""

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value."""


class Alone:
    """One process."""

    rank = 0

    def gather(self, value: Any) -> list[Any]:
        """Return the value."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value."""
        return value


class TorchGroup:
    """The default process group of torch.distributed."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self._dist: Any = dist

    @property
    def rank(self) -> int:
        """Return this process's rank."""
        return int(self._dist.get_rank())

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in order."""
        values = [None] * self._dist.get_world_size()
        self._dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value."""
        values = [value]
        self._dist.broadcast_object_list(values, src=0)
        return values[0]


class HorovodGroup:
    """Horovod's processes."""

    def __init__(self, hvd: Any) -> None:
        self._hvd = hvd

    @property
    def rank(self) -> int:
        """Return this process's rank."""
        return int(self._hvd.rank())

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in order."""
        return list(self._hvd.allgather_object(value, name="fairlead.gather"))

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value."""
        return self._hvd.broadcast_object(value, root_rank=0, name="fairlead.broadcast")


def find_group() -> Group:
    """Return the group that the script has initialized."""
    # a script that has not imported a framework does not use it
    hvd = sys.modules.get("horovod.torch")
    if hvd is not None and hvd.is_initialized():
        return HorovodGroup(hvd)
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        return TorchGroup()
    return Alone()
