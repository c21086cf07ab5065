"""Ports and addresses for servers of tests, so that two runs on one machine do not meet."""

import functools
import socket

_NETWORK = "127.230"
"""Apart from those of local clusters, of the trainer's tests, and of campaigns."""
_RESERVATION_PORT = 20_203


def free_port() -> int:
    """Return a port of the loopback address that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_address(last: int) -> str:
    """Return a loopback address that no other test run uses; `last` is its last number, up to 253.

    For servers whose port is fixed, such as those of pods.
    """
    number, _ = _reserve()
    return f"{_NETWORK}.{number}.{last}"


@functools.cache
def _reserve() -> tuple[int, socket.socket]:
    """Reserve a number for this process, whose addresses end with 0 to 253: its socket at the next one says so."""
    for number in range(256):
        reservation = socket.socket()
        try:
            reservation.bind((f"{_NETWORK}.{number}.254", _RESERVATION_PORT))
        except OSError:
            reservation.close()
            continue
        return number, reservation
    raise AssertionError(f"{_NETWORK}.0.0/16: 256 test runs use it, expected fewer")
