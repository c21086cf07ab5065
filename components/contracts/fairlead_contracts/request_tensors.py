"""The tensors of a request or an answer, each checked against the model's signature before its data is read."""

from collections.abc import Sequence
from typing import Any

from .errors import ContractError, Words
from .signature import MAX_DIMS
from .tensors import DTYPES, Array, TensorSpec, check_tensor, is_shape

MAX_TENSORS, MAX_NAME = 256, 1024


class RequestTensors:
    """Collects the inputs of one request, or the outputs of one answer."""

    def __init__(self, count: int, specs: Sequence[TensorSpec] | None, side: str = "inputs") -> None:
        """Expect `count` tensors of a model with these inputs, or None if unknown; raise ContractError."""
        self._side = side
        if count > MAX_TENSORS:
            raise ContractError(side, Words(f"{count} tensors"), f"at most {MAX_TENSORS}")
        self._known = {spec.name: spec for spec in specs} if specs is not None else None
        self._symbols: dict[str, tuple[int, str]] = {}
        self._tensors: dict[str, Array] = {}

    def check_name(self, name: Any, at: str) -> str:
        """Return the name of the next tensor; raise ContractError if it is unknown, or occurred before."""
        if isinstance(name, str) and name in self._tensors:
            raise ContractError(at, name, "unique names")
        valid = isinstance(name, str) and 0 < len(name) <= MAX_NAME and (self._known is None or name in self._known)
        if not valid:
            raise ContractError(at, name, f"one of {', '.join(self._known)}" if self._known else "a name")
        return str(name)

    def check_type(self, name: str, datatype: Any, shape: Any, at: str) -> None:
        """Raise ContractError unless the data type and shape are those of the model's input.

        It is called before the data is read, so that the message names the cause instead of a consequence.
        """
        if not isinstance(datatype, str) or datatype not in DTYPES:
            raise ContractError(f"{at}.datatype", datatype, f"one of {', '.join(DTYPES)}")
        if not is_shape(shape):
            raise ContractError(f"{at}.shape", shape, "a list of sizes")
        if len(shape) > MAX_DIMS:
            raise ContractError(f"{at}.shape", Words(f"{len(shape)} dimensions"), f"at most {MAX_DIMS}")
        if self._known:
            check_tensor(self._known[name], datatype, shape, f"{at}.", self._symbols)

    def add(self, name: str, array: Array) -> None:
        """Add a tensor that was checked."""
        self._tensors[name] = array

    def finish(self) -> dict[str, Array]:
        """Return all tensors by name; raise ContractError if the model has an input that is not among them."""
        for name, spec in (self._known or {}).items():
            if name not in self._tensors and not spec.optional:
                got = Words(f"{len(self._tensors)} without {name}")
                required = (spec.name for spec in (self._known or {}).values() if not spec.optional)
                raise ContractError(self._side, got, f"all of {', '.join(required)}")
        return self._tensors
