"""The backends that turn a command into a distributed run. A new backend is one module here and one line below."""

from .base import Backend, Member, Rendezvous
from .horovod import HorovodBackend

BACKENDS: dict[str, Backend] = {"horovod": HorovodBackend()}

__all__ = ["BACKENDS", "Backend", "Member", "Rendezvous"]
