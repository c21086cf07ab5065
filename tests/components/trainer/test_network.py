"""The port at which the processes of an epoch meet."""

import socket
from datetime import timedelta

import pytest
from fairlead_trainer.network import ReservedPort
from torch.distributed import TCPStore


def test_a_reserved_port_is_given_to_no_other_program_at_any_address() -> None:
    reserved, other = ReservedPort(), ReservedPort()
    port = reserved.renew()
    assert other.renew() != port
    for address in ("127.0.0.1", "127.9.9.9", "0.0.0.0"):
        with socket.socket() as taker, pytest.raises(OSError, match="in use"):
            taker.bind((address, port))
    reserved.release()
    other.release()


@pytest.mark.parametrize("libuv", [False, True])
def test_torchs_store_listens_at_a_reserved_port(libuv: bool) -> None:
    reserved = ReservedPort()
    port = reserved.renew()
    store = TCPStore(
        "127.0.0.1", port, 1, is_master=True, timeout=timedelta(seconds=60), use_libuv=libuv, wait_for_workers=False
    )
    store.set("key", "value")
    assert store.get("key") == b"value"
    assert reserved.renew() != port


def test_a_renewed_reservation_frees_the_port_before() -> None:
    reserved = ReservedPort()
    port = reserved.renew()
    reserved.renew()
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", port))
    reserved.release()
