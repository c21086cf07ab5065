"""The binary tensors of the Open Inference Protocol v2: raw little-endian values after a JSON header.

The header's tensors say with `parameters.binary_data_size` how many bytes each has, in order. A text is its length as
four bytes, and UTF-8. Source: the protocol's binary tensor data extension; its raw tensors over gRPC are the same.
"""

import math
import struct
from collections.abc import Sequence

import numpy as np

from .errors import ContractError, Words
from .signature import MAX_DIMS
from .tensors import DTYPES, Array, reshape

_LENGTH = struct.Struct("<I")


def read_tensor(data: memoryview, shape: Sequence[int], datatype: str, at: str) -> Array:
    """Return the tensor that all of `data` holds, without a copy where numpy can; raise ContractError naming `at`."""
    if len(shape) > MAX_DIMS:  # before the product, whose cost grows with the square of their number
        raise ContractError(at, Words(f"{len(shape)} dimensions"), f"at most {MAX_DIMS}")
    count, dtype = math.prod(shape), DTYPES[datatype]
    if datatype == "BYTES":
        return reshape(np.array(_read_texts(data, count, at), dtype=object), shape, at)
    if len(data) != count * dtype.itemsize:
        expected = f"{count * dtype.itemsize}, for {datatype} of shape {list(shape)}"
        raise ContractError(at, Words(f"{len(data)} bytes"), expected)
    if datatype == "BOOL" and (np.frombuffer(data, np.uint8) > 1).any():
        raise ContractError(at, Words("a byte over 1"), "0 or 1 for each BOOL")
    # ONNX Runtime reads whole values, which the bytes of a request need not be aligned for.
    return reshape(np.require(np.frombuffer(data, dtype.newbyteorder("<")), dtype, "A"), shape, at)


def write_tensor(array: Array) -> bytes:
    """Return a tensor's bytes."""
    if array.dtype == object:
        texts = [str(value).encode() for value in array.flat]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()


def _read_texts(data: memoryview, count: int, at: str) -> list[str]:
    if count * _LENGTH.size > len(data):
        raise ContractError(at, Words(f"{len(data)} bytes"), f"{count} texts with their lengths")
    texts, place = [], 0
    for index in range(count):
        if place + _LENGTH.size > len(data):
            raise ContractError(f"{at}[{index}]", Words("the end of the data"), "the length of a text")
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if place + length > len(data):
            raise ContractError(f"{at}[{index}]", Words(f"{len(data) - place} bytes"), f"a text of {length}")
        try:
            texts.append(str(data[place : place + length], "utf-8"))
        except UnicodeDecodeError:
            raise ContractError(f"{at}[{index}]", Words("bytes"), "UTF-8") from None
        place += length
    if place != len(data):
        raise ContractError(at, Words(f"{len(data)} bytes"), f"{place}, for {count} texts")
    return texts


class BinaryData:
    """The bytes after the JSON header of a request, taken tensor by tensor."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._place = data, 0

    def take(self, size: object, at: str) -> memoryview:
        """Return the next bytes; raise ContractError if there are not as many."""
        left = len(self._data) - self._place
        if type(size) is not int or not 0 <= size <= left:
            raise ContractError(at, size, f"a number of bytes, of which {left} are left in the body")
        self._place += size
        return self._data[self._place - size : self._place]

    def check_end(self) -> None:
        """Raise ContractError if bytes are left."""
        if left := len(self._data) - self._place:
            raise ContractError("body", Words(f"{left} more bytes"), "as many as its tensors' binary_data_size")


def split_body(body: bytes, header_bytes: int | None) -> tuple[memoryview, BinaryData]:
    """Split a request's body after its JSON header of so many bytes; None for a body that is all JSON."""
    view = memoryview(body)
    if header_bytes is None:
        return view, BinaryData(view[len(view) :])
    if not 0 < header_bytes <= len(body):
        expected = f"1 to {len(body)}, the body's bytes"
        raise ContractError("header Inference-Header-Content-Length", header_bytes, expected)
    return view[:header_bytes], BinaryData(view[header_bytes:])
