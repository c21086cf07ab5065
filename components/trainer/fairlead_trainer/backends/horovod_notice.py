"""Horovod's notice to a process that the hosts have changed. Imports Horovod: import it lazily."""

import logging
import socket
import time

from horovod.runner.common.util.network import Wire  # type: ignore
from horovod.runner.elastic.worker import HostsUpdatedRequest, HostUpdateResult  # type: ignore

from .base import Member
from .horovod_listener import Listener

log = logging.getLogger("launcher")

_SECONDS = 2.0
"""How long one notice may take, to all addresses together."""


def notify(listener: Listener, member: Member, since: float) -> None:
    """Send the notice to a member's process; a failure is logged, as it is sent again."""
    end = time.monotonic() + _SECONDS
    # "removed" alone would let the processes skip their synchronization, although others may join meanwhile
    request = HostsUpdatedRequest(since, HostUpdateResult.mixed)
    # its own address only: what a process says must not make the launcher connect elsewhere
    for host in dict.fromkeys(filter(None, (member.address, member.peer))):
        try:
            _send((host, listener.port), listener.key, request, end)
            return
        except OSError as error:
            text = "worker %d at %s:%d cannot be notified of the next epoch: %s"
            log.info(text, member.worker, host, listener.port, error)


def _send(address: tuple[str, int], key: bytes, request: HostsUpdatedRequest, end: float) -> None:
    with socket.create_connection(address, _left(end)) as connection:
        connection.settimeout(_left(end))
        with connection.makefile("wb") as file:
            Wire(key).write(request, file)
        connection.settimeout(_left(end))
        # the answer is pickled: it is waited for and not read
        if not connection.recv(1):
            raise OSError("the process closed the connection")


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"not within {_SECONDS:g} s")
    return left
