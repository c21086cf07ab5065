"""Frames between the two processes: whole ones are passed on, whatever the pieces in which they arrive."""

import socket
import struct
from typing import Any

import pytest
from fairlead_serving.frames import FrameError, FrameStream, receive_frame, send_frame

FRAMES = [({"event": "a"}, b""), ({"event": "b", "id": 7}, b"body"), ({}, bytes(300))]


def encode(frames: list[tuple[dict[str, Any], bytes]]) -> bytes:
    """Return the bytes of frames as they are sent."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for head, body in frames:
            send_frame(ours, head, body)
        ours.close()
        content = b""
        while part := theirs.recv(65536):
            content += part
        return content


@pytest.mark.parametrize("size", [1, 3, 7, 100_000])
def test_frames_are_received_whole_in_pieces_of_any_size(size: int) -> None:
    received: list[tuple[dict[str, Any], bytes]] = []
    stream = FrameStream(lambda head, body: received.append((head, body)), lambda: None)
    content = encode(FRAMES)
    for start in range(0, len(content), size):
        stream.data_received(content[start : start + size])
    assert received == FRAMES


def test_a_frame_is_received_before_an_event_loop_runs() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(encode(FRAMES))
        assert [receive_frame(theirs) for _ in FRAMES] == FRAMES
        ours.close()
        with pytest.raises(FrameError, match="the other process is gone"):
            receive_frame(theirs)


def test_a_frame_of_an_impossible_length_is_rejected() -> None:
    stream = FrameStream(lambda head, body: None, lambda: None)
    with pytest.raises(FrameError, match="expected at most 2147483648"):
        stream.data_received(struct.pack("!II", 2**31, 5))


def test_sending_to_a_process_that_is_gone_does_nothing() -> None:
    lost: list[bool] = []
    stream = FrameStream(lambda head, body: None, lambda: lost.append(True))
    stream.connection_lost(None)
    stream.send({"event": "call"}, b"body")
    assert lost == [True]
