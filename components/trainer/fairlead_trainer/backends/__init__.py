"""The backends that turn a command into a distributed run. A new backend is one module here and one line below."""

from .base import Backend, Launch, Member, Rendezvous
from .horovod import HorovodBackend
from .torchrun import TorchrunBackend

BACKENDS: dict[str, Backend] = {"horovod": HorovodBackend(), "torchrun": TorchrunBackend()}

__all__ = ["BACKENDS", "Backend", "Launch", "Member", "Rendezvous"]
