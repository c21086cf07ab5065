"""Signatures of models, their inputs and outputs, in signature.json and in manifests. Imported on devices."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from .datatypes import DATATYPES
from .errors import ContractError
from .plain import below, get, load_json, require

FILE = "signature.json"
MAX_BYTES = 1 << 20
MAX_TENSORS, MAX_NAME, MAX_DIMS, _MAX_SIZE = 256, 1024, 32, (1 << 53) - 1


@dataclass(frozen=True)
class TensorSignature:
    """One tensor; raises ContractError if a value is out of bounds."""

    name: str
    """Its name."""
    dtype: str
    """Its V2 data type."""
    shape: tuple[int, ...]
    """Its sizes; -1 is a free dimension."""

    def __post_init__(self) -> None:
        require(0 < len(self.name) <= MAX_NAME, "name", self.name, f"1 to {MAX_NAME} characters")
        require(self.dtype in DATATYPES, "dtype", self.dtype, f"one of {', '.join(DATATYPES)}")
        fits = len(self.shape) <= MAX_DIMS and all(type(size) is int and -1 <= size <= _MAX_SIZE for size in self.shape)
        require(fits, "shape", list(self.shape), f"at most {MAX_DIMS} integers, -1 for a free dimension")

    @classmethod
    def parse(cls, document: object) -> Self:
        """Parse one tensor; raise ContractError."""
        shape = get(document, "shape", (list, tuple), "a list of integers, -1 for a free dimension")
        return cls(get(document, "name", str, "a string"), get(document, "dtype", str, "a string"), tuple(shape))


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model, in order."""

    inputs: tuple[TensorSignature, ...]
    """The model's inputs."""
    outputs: tuple[TensorSignature, ...]
    """The model's outputs."""

    @classmethod
    def parse_json(cls, content: bytes, at: str) -> Self:
        """Parse signature.json, named `at` in errors; raise ContractError."""
        return cls.parse(load_json(content, MAX_BYTES, at), at)

    @classmethod
    def parse(cls, document: object, at: str) -> Self:
        """Parse a signature from parsed JSON; raise ContractError. `at` is its path in the document."""
        return cls(_parse_side(document, "inputs", at), _parse_side(document, "outputs", at))

    def to_json(self) -> dict[str, Any]:
        """Return the signature as a JSON object."""
        return {
            side: [asdict(tensor) | {"shape": list(tensor.shape)} for tensor in tensors]
            for side, tensors in (("inputs", self.inputs), ("outputs", self.outputs))
        }


def _parse_side(document: object, side: str, at: str) -> tuple[TensorSignature, ...]:
    where = f"{at}.{side}"
    try:
        tensors = get(document, side, (list, tuple), f"a list of at most {MAX_TENSORS} tensors")
        require(len(tensors) <= MAX_TENSORS, side, tensors, f"a list of at most {MAX_TENSORS} tensors")
    except ContractError as error:
        raise below(at, error) from None
    parsed = []
    for index, tensor in enumerate(tensors):
        try:
            parsed.append(TensorSignature.parse(tensor))
        except ContractError as error:
            raise below(f"{where}[{index}]", error) from None
    return tuple(parsed)
