"""The scores of a served model, asked over the Open Inference Protocol v2."""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import urllib3
from fairlead_contracts.errors import ContractError, shorten
from fairlead_contracts.inference import build_tensor, parse_answer
from fairlead_contracts.tensors import DTYPES, cast
from fairlead_datasets.errors import Unusable
from fairlead_datasets.outputs import join_batches
from numpy.typing import NDArray

from .errors import ServerUnavailable
from .retries import retry
from .rows import Arrays
from .urls import split_url

API_KEY = "FAIRLEAD_API_KEY"
"""The variable with the key of a deployment that asks for one; it is no argument, which all users of a machine see."""
_FORM = "http(s)://host:port/v2/models/NAME"
_BATCH = 128
_MAX_BYTES = 64 << 20


class ServedModel:
    """A model at `http://host:port/v2/models/name`; a server that is gone is asked again for `retry_seconds`."""

    def __init__(self, url: str, retry_seconds: float = 60.0) -> None:
        if "/v2/models/" not in split_url(url, "--url", _FORM).path:
            raise Unusable(f"--url: got another path, expected {_FORM}")
        self._url, self._retry_seconds = url.rstrip("/"), retry_seconds
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)
        self._headers = _build_headers()

    def score(self, inputs: Arrays, output: str | None = None) -> NDArray[Any]:
        """Return the scores of each row: the output of this name, or the first; raise Unusable, ServerUnavailable."""
        expected = self._read_inputs(inputs)
        rows = len(next(iter(inputs.values())))
        parts = []
        for start in range(0, rows, _BATCH):
            tensors = [
                _build_tensor(name, array[start : start + _BATCH], dtype) for name, (array, dtype) in expected.items()
            ]
            parts.append(self._infer(tensors, min(_BATCH, rows - start), output))
        return join_batches("scores", parts)

    def _read_inputs(self, inputs: Arrays) -> Mapping[str, tuple[NDArray[Any], str]]:
        """Return the array and the data type of each of the model's inputs, by its metadata."""
        document = self._ask("GET", "", None)
        listed = document.get("inputs") if isinstance(document, dict) else None
        found: dict[str, tuple[NDArray[Any], str]] = {}
        for tensor in listed if isinstance(listed, list) else ():
            name = tensor.get("name") if isinstance(tensor, dict) else None
            dtype = tensor.get("datatype") if isinstance(tensor, dict) else None
            if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES:
                raise Unusable(f"{self._url}: got the input {shorten(tensor)}, expected a name and a data type")
            array = inputs.get(name, inputs.get("x") if len(listed or ()) == 1 else None)
            if array is None:
                raise Unusable(f"{self._url}: its input {shorten(name)} is no array of the split: {', '.join(inputs)}")
            found[name] = (array, dtype)
        if not found:
            raise Unusable(f"{self._url}: got {shorten(document)}, expected the model's metadata with its inputs")
        return found

    def _infer(self, tensors: list[dict[str, Any]], rows: int, output: str | None) -> NDArray[Any]:
        try:
            outputs = parse_answer(self._ask("POST", "/infer", {"inputs": tensors}), None)
        except ContractError as error:
            raise Unusable(f"{self._url}: its answer: {error}") from None
        if output is not None and output not in outputs:
            raise Unusable(f"{self._url}: got the outputs {', '.join(outputs)}, expected {output}")
        scores = outputs[output] if output is not None else next(iter(outputs.values()))
        if scores.shape[:1] != (rows,):
            raise Unusable(f"{self._url}: got scores {list(scores.shape)}, expected {rows} rows")
        return np.asarray(scores)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        return retry(lambda: self._ask_once(method, path, body), self._retry_seconds)

    def _ask_once(self, method: str, path: str, body: Any) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **self._headers}
        try:
            answer = self._http.request(method, self._url + path, content, headers=headers, redirect=False,
                                        preload_content=False)  # fmt: skip
            data = answer.read(_MAX_BYTES + 1)
            answer.drain_conn() if len(data) <= _MAX_BYTES else answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ServerUnavailable(f"{self._url}: {type(error).__name__}: {str(error)[:200]}") from None
        if answer.status >= 500 or answer.status in (408, 429):
            raise ServerUnavailable(f"{self._url}: the server answered {answer.status}: {shorten(data)}")
        if answer.status != 200:
            raise Unusable(f"{self._url}: the server answered {answer.status}: {shorten(data)}")
        if len(data) > _MAX_BYTES:
            raise Unusable(f"{self._url}: got more than {_MAX_BYTES} bytes, expected an answer")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise Unusable(f"{self._url}: got {shorten(data)}, expected JSON") from None


def _build_tensor(name: str, array: NDArray[Any], dtype: str) -> dict[str, Any]:
    try:
        tensor = build_tensor(name, array.astype(object) if array.dtype.kind == "U" else cast(array, dtype, name))
    except ContractError as error:
        raise Unusable(str(error)) from None
    return {**tensor, "data": np.asarray(tensor["data"]).tolist()}


def _build_headers() -> Mapping[str, str]:
    key = os.environ.get(API_KEY, "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise Unusable(f"{API_KEY}: got other characters, expected printable ASCII without spaces")
    return {"X-API-Key": key} if key else {}
