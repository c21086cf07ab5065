"""What the edge runtime and the program that builds for other engines say to each other.

The program is a command with an exit status; a model that it runs is asked through its standard input and output, in
frames: eight bytes with the length, then the content. Both ends are of one user on one machine.
"""

import io
import json
from typing import IO, Any

import numpy as np

from .tensors import Array

COMMAND = "fairlead-edge-builders"
CANNOT_BUILD = 3
"""The exit status for a model that cannot be built; the last line of standard error says why."""
MAX_FRAME, MAX_HEAD = 1 << 32, 1 << 20
_SIZE = 8


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Write a frame."""
    stream.write(len(content).to_bytes(_SIZE, "big"))
    stream.write(content)
    stream.flush()


def read_frame(stream: IO[bytes], most: int) -> bytes | None:
    """Read a frame; None at the end of the stream, or if the frame is longer than `most` or incomplete."""
    head = _read(stream, _SIZE)
    if head is None or (size := int.from_bytes(head, "big")) > most:
        return None
    return _read(stream, size)


def write_head(stream: IO[bytes], head: dict[str, Any]) -> None:
    """Write a frame with a JSON object."""
    write_frame(stream, json.dumps(head).encode())


def pack(array: Array) -> bytes:
    """Return an array's type, shape and values."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def unpack(content: bytes) -> Array:
    """Return the array; raise ValueError."""
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _read(stream: IO[bytes], size: int) -> bytes | None:
    content = stream.read(size)
    return content if len(content) == size else None
