"""The self-test of a bundle: some inputs, and what the target answered when it was built; a device asks the same.

Another processor rounds otherwise, so the answers are compared with tolerances and not byte by byte.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.array_archives import write_arrays
from fairlead_contracts.edge_bundle import SELF_TEST_FILE, Preprocessing, SelfTest
from fairlead_contracts.tensors import DTYPES, Array
from numpy.typing import NDArray

from .archives import Archive
from .errors import InputUnusable, InvalidBundle
from .preprocessing import prepare
from .targets.base import Session

_INPUT, _OUTPUT = "input", "output{}"
_SHARE = 0.1
"""A tolerance, as a share of the output's standard deviation over the cases."""
_LEAST = 0.001
"""The smallest tolerance, as a share of the output's largest absolute value."""
_AGREEMENT = 0.9
"""The share of cases whose class has to be the same."""


def write_self_test(folder: Path, session: Session, cases: NDArray[Any], preprocessing: Preprocessing) -> SelfTest:
    """Run a target's model on cases, and write these and its answers; return what bundle.json says of them."""
    spec = session.inputs[0]
    cases = cases.astype(DTYPES[spec.datatype])
    prepared = prepare(cases, preprocessing)
    answers = [session.run({spec.name: prepared[index : index + 1]}) for index in range(len(prepared))]
    outputs = [np.stack(each) for each in zip(*answers, strict=True)]
    named = {_OUTPUT.format(place): each for place, each in enumerate(outputs)}
    write_arrays(archive := BytesIO(), {_INPUT: cases, **named})
    content = archive.getvalue()
    (folder / SELF_TEST_FILE).write_bytes(content)
    return SelfTest(hashlib.sha256(content).hexdigest(), tuple(_find_tolerance(each) for each in outputs))


@dataclass(frozen=True)
class Cases:
    """The cases of a bundle, and the answers that are expected."""

    inputs: Array
    outputs: Sequence[Array]
    """Each output for all cases."""
    tolerances: Sequence[float]

    @classmethod
    def load(cls, test: SelfTest, content: bytes) -> "Cases":
        """Return the cases of the file's content; raise InvalidBundle."""
        try:
            archive = Archive(BytesIO(content), SELF_TEST_FILE)
            names = [_OUTPUT.format(place) for place in range(len(test.tolerances))]
            if archive.names != {_INPUT, *names}:
                raise InputUnusable(f"{SELF_TEST_FILE}: expected {_INPUT} and {len(names)} outputs")
            inputs, outputs = archive.read(_INPUT), [archive.read(name) for name in names]
        except InputUnusable as error:
            raise InvalidBundle(str(error)) from None
        if not inputs.ndim or not len(inputs) or any(each.ndim < 2 or len(each) != len(inputs) for each in outputs):
            raise InvalidBundle(f"{SELF_TEST_FILE}: expected an output for each of at least one case")
        return cls(inputs, outputs, test.tolerances)

    def build_requests(self, metadata: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a V2 request for each case, to the model with this metadata."""
        spec = metadata["inputs"][0]
        for index in range(len(self.inputs)):
            row = self.inputs[index : index + 1]
            tensor = {"name": spec["name"], "datatype": spec["datatype"], "shape": list(row.shape)}
            yield {
                "inputs": [{**tensor, "data": row.ravel().tolist()}],
                "outputs": [{"name": output["name"]} for output in metadata["outputs"]],
            }

    def find_problem(self, responses: Sequence[Mapping[str, Any]]) -> str | None:
        """Return what is wrong with a model's responses to the requests, or None."""
        for place, (expected, tolerance) in enumerate(zip(self.outputs, self.tolerances, strict=True)):
            found = [_read_output(response, place) for response in responses]
            if any(each is None or each.shape != expected[0].shape for each in found):
                return f"output {place}: has not the shape {list(expected[0].shape)} for each case"
            got = np.stack([each for each in found if each is not None])
            if problem := _compare(got, expected, tolerance, place):
                return f"output {place}: {problem}"
        return None


def _find_tolerance(values: Array) -> float:
    if values.dtype.kind != "f":
        return 0.0
    known = values[np.isfinite(values)].astype(np.float64)
    largest = np.abs(known).max() if known.size else 0.0
    # squares of large values would overflow
    return float(max(_SHARE * (known / largest).std(), _LEAST) * largest) if largest else 0.0


def _read_output(response: Mapping[str, Any], place: int) -> NDArray[np.float64] | None:
    """Return an output of a V2 response; None if it is no table of numbers."""
    try:
        output = response["outputs"][place]
        return np.array(output["data"], np.float64).reshape(output["shape"])
    except (LookupError, TypeError, ValueError):
        return None


def _compare(got: NDArray[np.float64], expected: Array, tolerance: float, place: int) -> str | None:
    with np.errstate(all="ignore"):
        difference = np.abs(got - expected.astype(np.float64))
    difference[(got == expected) | (np.isnan(got) & np.isnan(expected.astype(np.float64)))] = 0
    if expected.dtype.kind != "f":
        equal = float((difference == 0).mean()) if difference.size else 1.0
        wanted = f"expected at least {_AGREEMENT:.0%}"
        return None if equal >= _AGREEMENT else f"{equal:.0%} of the values are the same, {wanted}"
    mean = float(difference.mean()) if difference.size else 0.0
    if not mean <= tolerance:
        return f"the mean difference is {mean:.3g}, expected at most {tolerance:.3g}"
    if place == 0 and expected.ndim == 3:
        agreement = float((got.argmax(axis=-1) == expected.argmax(axis=-1)).mean())
        if agreement < _AGREEMENT:
            return f"{agreement:.0%} of the cases have the same class, expected at least {_AGREEMENT:.0%}"
    return None
