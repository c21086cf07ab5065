"""Signatures of models: what a model takes and gives, in signature.json and in manifests."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from .base import Contract
from .datatypes import DATATYPES

FILE = "signature.json"
MAX_TENSORS, MAX_DIMS = 256, 32


def _known(dtype: str) -> str:
    if dtype not in DATATYPES:
        raise ValueError(f"one of {', '.join(DATATYPES)}")
    return dtype


Size = Annotated[int, Field(ge=-1, lt=1 << 53)]


class TensorSignature(Contract):
    """One tensor."""

    name: str = Field(min_length=1, max_length=1024)
    """Its name."""
    dtype: Annotated[str, AfterValidator(_known)]
    """Its V2 data type."""
    shape: Annotated[tuple[Size, ...], Field(max_length=MAX_DIMS, strict=False)]
    """Its sizes; -1 is a free dimension."""


Side = Annotated[tuple[TensorSignature, ...], Field(max_length=MAX_TENSORS, strict=False)]


class Signature(Contract):
    """The inputs and outputs of a model, in order."""

    max_bytes: ClassVar[int] = 1 << 20

    inputs: Side
    """What it takes."""
    outputs: Side
    """What it gives."""
