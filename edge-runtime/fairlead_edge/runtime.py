"""The runtime: answers Open Inference Protocol v2 requests with a bundle's model. Needs only numpy and an engine."""

from typing import Any

import numpy as np
from fairlead_contracts.binary import split_body
from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import AnswerError, InferenceResponse, build_response, parse_request
from fairlead_contracts.tensors import DTYPES, Array
from fairlead_serving.bodies import parse_json
from fairlead_serving.errors import BadRequest, TooLate, Unprocessable

from .bundle import Bundle
from .errors import InvalidBundle
from .preprocessing import prepare
from .sketch import Drift, Sketch
from .targets import UnknownTarget, find_target
from .targets.base import CannotLoad, Ending, RunEnded, RunFailed

_INPUTS = ("FP32", "FP64", "INT64", "UINT8")
"""Data types that a bundle's preprocessing supports."""
_LABEL = "label"


class Runtime:
    """A loaded bundle."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load the model; raise InvalidBundle if its files are not its target's, or if the target's engine cannot."""
        try:
            target = find_target(bundle.description.target)
            if bundle.files.keys() != set(target.files):
                found, known = ", ".join(sorted(bundle.files)), ", ".join(sorted(target.files))
                raise InvalidBundle(f"files: got {found}, expected {known} (target {target.name})")
            self._session = target.load(bundle.files, threads)
        except (UnknownTarget, CannotLoad) as error:
            raise InvalidBundle(str(error)) from None
        inputs = self._session.inputs
        if len(inputs) != 1 or inputs[0].datatype not in _INPUTS:
            found = ", ".join(f"{value.name} {value.datatype}" for value in inputs)
            raise InvalidBundle(f"the model's inputs are {found}, expected one tensor of {', '.join(_INPUTS)}")
        self._input, self._outputs = inputs[0], self._session.outputs
        self.bundle = bundle
        self.sketch = Sketch(_build_drift(bundle.reference))
        self.name = bundle.description.name

    def warm_up(self, value: int) -> str | None:
        """Run the model on made-up input; return what is wrong with it, or None."""
        shape = [1 if size < 0 else size for size in self._input.shape]
        try:
            self._run(np.full(shape, value, DTYPES[self._input.datatype]), Ending())
        except (BadRequest, TooLate, Unprocessable) as error:
            return str(error)
        return None

    def describe(self) -> dict[str, Any]:
        """Return V2's model metadata."""
        return {
            "name": self.name,
            "versions": [self.bundle.digest],
            "platform": self._session.platform,
            "inputs": [self._input.describe()],
            "outputs": [spec.describe() for spec in self._outputs],
        }

    def infer(
        self, body: bytes, ending: Ending, max_bytes: int, header_bytes: int | None = None, counted: bool = True
    ) -> InferenceResponse:
        """Return the response to a request's body, with the tensors' `data` as arrays; raise ServingError.

        Tensors may follow the JSON's `header_bytes` as bytes. A request of the server itself is not counted.
        """
        names = [spec.name for spec in self._outputs]
        known = [*names, _LABEL] if self.bundle.description.labels else names
        try:
            header, binary = split_body(body, header_bytes)
            request = parse_request(parse_json(header), [self._input], known, binary)
            prepared = prepare(request.tensors[self._input.name], self.bundle.description.preprocessing)
            outputs = self._run(prepared, ending)
            if counted:
                self.sketch.add({self._input.name: prepared}, outputs)
            return build_response(self.name, self._name_outputs(outputs), request, max_bytes)
        except AnswerError as error:
            raise Unprocessable(str(error)) from None
        except ContractError as error:
            raise BadRequest(str(error)) from None

    def _run(self, values: Array, ending: Ending) -> list[Array]:
        try:
            return self._session.run({self._input.name: values}, ending)
        except RunEnded:
            raise TooLate from None
        except RunFailed as error:
            raise BadRequest(f"the model rejects these values: {error}") from None

    def _name_outputs(self, outputs: list[Array]) -> dict[str, Array]:
        """Return the outputs by name, with class labels if the first output is a score per class."""
        named = {spec.name: array for spec, array in zip(self._outputs, outputs, strict=True)}
        labels = self.bundle.description.labels
        if labels and outputs[0].ndim == 2 and outputs[0].shape[1] == len(labels):
            named[_LABEL] = np.array([labels[index] for index in outputs[0].argmax(axis=1)], dtype=object)
        return named


def _build_drift(content: bytes) -> Drift | None:
    """Prepare to measure the drift from reference.json, if there is one; raise InvalidBundle."""
    if not content:
        return None
    from .drift import parse_drift  # which loads pydantic

    return parse_drift(content)
