"""Binary tensors are read as they were written, and nothing else is."""

import numpy as np
import pytest
from fairlead_contracts.binary import read_tensor, write_tensor
from fairlead_contracts.errors import ContractError
from fairlead_contracts.tensors import DTYPES, datatype_of

NUMBERS = [name for name in DTYPES if name != "BYTES"]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_of_every_type_come_back_at_any_place_in_the_body(datatype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(DTYPES[datatype])
    body = memoryview(b"x" + write_tensor(array))[1:]
    read = read_tensor(body, (2, 3), datatype, "x")
    assert (read.dtype, datatype_of(read)) == (array.dtype, datatype)
    assert read.flags.aligned
    np.testing.assert_array_equal(read, array)


def test_a_transposed_array_is_written_by_rows() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T
    np.testing.assert_array_equal(read_tensor(memoryview(write_tensor(array)), (3, 2), "INT32", "x"), array)


def test_texts_come_back() -> None:
    array = np.array([["", "é"], ["🚢" * 99, "a\0b"]], dtype=object)
    np.testing.assert_array_equal(read_tensor(memoryview(write_tensor(array)), (2, 2), "BYTES", "x"), array)


REJECTED = [
    (b"\x02", (1,), "BOOL", "x: got a byte over 1, expected 0 or 1"),
    (b"\x01\0\0\0", (1,), "BYTES", r"x\[0\]: got 0 bytes, expected a text of 1"),
    (b"\xff\xff\xff\xff", (1,), "BYTES", r"x\[0\]: got 0 bytes, expected a text of 4294967295"),
    (b"\x01\0\0\0\xff", (1,), "BYTES", r"x\[0\]: got bytes, expected UTF-8"),
    (b"\0\0\0\0\0", (1,), "BYTES", "x: got 5 bytes, expected 4, for 1 texts"),
    (b"\0\0\0\0", (2**40,), "BYTES", "x: got 4 bytes, expected 1099511627776 texts"),
    (b"\x01\0\0\0abc\0", (2,), "BYTES", r"x\[1\]: got the end of the data, expected the length of a text"),
    (b"", (0, 2**62), "FP32", "x: got shape of 2 dimensions, expected a valid shape"),
    (b"", (0, 2**62), "BYTES", "x: got shape of 2 dimensions, expected a valid shape"),
    (b"", (0, 2**64 - 1), "BOOL", "x: got shape of 2 dimensions, expected a valid shape"),
    (b"", (1,) * 33, "FP32", "x: got 33 dimensions, expected at most 32"),
]


@pytest.mark.parametrize(("data", "shape", "datatype", "reason"), REJECTED)
def test_bytes_that_are_no_tensor_are_rejected(data: bytes, shape: tuple[int, ...], datatype: str, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        read_tensor(memoryview(data), shape, datatype, "x")
