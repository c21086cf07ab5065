"""The data types of the Open Inference Protocol v2, with their names in numpy, ONNX Runtime and torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataType:
    """The names of one data type."""

    name: str
    """The name in V2, signatures and graphs."""
    numpy: str | None
    """numpy's type string; None if numpy itself has no such type. BYTES are str objects."""
    onnx: str
    """ONNX Runtime's name."""
    torch: str | None
    """torch's name; None for text."""


_TABLE = (
    DataType("BOOL", "?", "tensor(bool)", "torch.bool"),
    DataType("UINT8", "u1", "tensor(uint8)", "torch.uint8"),
    DataType("UINT16", "u2", "tensor(uint16)", "torch.uint16"),
    DataType("UINT32", "u4", "tensor(uint32)", "torch.uint32"),
    DataType("UINT64", "u8", "tensor(uint64)", "torch.uint64"),
    DataType("INT8", "i1", "tensor(int8)", "torch.int8"),
    DataType("INT16", "i2", "tensor(int16)", "torch.int16"),
    DataType("INT32", "i4", "tensor(int32)", "torch.int32"),
    DataType("INT64", "i8", "tensor(int64)", "torch.int64"),
    DataType("FP16", "f2", "tensor(float16)", "torch.float16"),
    DataType("FP32", "f4", "tensor(float)", "torch.float32"),
    DataType("FP64", "f8", "tensor(double)", "torch.float64"),
    DataType("BF16", None, "tensor(bfloat16)", "torch.bfloat16"),
    DataType("BYTES", "O", "tensor(string)", None),
)
DATATYPES = {datatype.name: datatype for datatype in _TABLE}
BY_ONNX = {datatype.onnx: datatype.name for datatype in _TABLE}
"""ONNX Runtime's name -> V2's."""
BY_TORCH = {datatype.torch: datatype.name for datatype in _TABLE if datatype.torch}
"""torch's name -> V2's."""
