"""The frames between the edge runtime and the program that runs models for it."""

import io

import numpy as np
import pytest
from fairlead_contracts.edge_builders import pack, read_frame, unpack, write_frame, write_head


def test_frames_are_read_as_they_were_written() -> None:
    stream = io.BytesIO()
    array = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    write_head(stream, {"outputs": 1})
    write_frame(stream, pack(array))
    write_frame(stream, b"")
    stream.seek(0)
    assert read_frame(stream, 100) == b'{"outputs": 1}'
    content = read_frame(stream, 1000)
    assert content is not None
    found = unpack(content)
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())
    assert read_frame(stream, 100) == b""
    assert read_frame(stream, 100) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0", "an incomplete length"),
        ((5).to_bytes(8, "big") + b"four", "an incomplete frame"),
        ((11).to_bytes(8, "big") + bytes(11), "more than is allowed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_frame_is_none(content: bytes, reason: str) -> None:
    assert read_frame(io.BytesIO(content), 10) is None, reason


def test_objects_are_not_unpickled() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        unpack(buffer.getvalue())
