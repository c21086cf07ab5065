"""Seldon's message in JSON: `data` as ndarray or tensor, `names`, `meta`. Used by clients and by remote nodes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from fairlead_contracts.errors import ContractError, Words, shorten
from fairlead_contracts.json_arrays import flatten_json, parse_untyped
from fairlead_contracts.tensors import Array, is_shape, widen

from .nodes.base import Feedback
from .puids import MAX_PUID, is_puid
from .tensors import Message

_MAX_TAG_DEPTH = 32
TENSOR, NDARRAY = "tensor", "ndarray"


def parse_message(document: Any, at: str = "") -> tuple[Message, str]:
    """Parse a message with one tensor; return it and its form. Raise ContractError naming the field."""
    if not isinstance(document, dict):
        raise ContractError(at or "body", document, "a JSON object")
    data = document.get("data")
    if not isinstance(data, dict) or (TENSOR in data) == (NDARRAY in data):
        got = data if "data" in document else sorted(document)
        raise ContractError(f"{at}data", got, "data.ndarray or data.tensor")
    form = TENSOR if TENSOR in data else NDARRAY
    array = (
        _parse_tensor(data[TENSOR], f"{at}data.tensor")
        if form == TENSOR
        else parse_nested(data[NDARRAY], f"{at}data.ndarray")
    )
    names = data.get("names") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ContractError(f"{at}data.names", names, "a list of strings")
    return Message({"data": array}, tuple(names), typed=False, tags=parse_meta(document, at).get("tags", {})), form


def parse_meta(document: dict[str, Any], at: str = "") -> dict[str, Any]:
    """Return the message's `meta`; raise ContractError if a field has the wrong type."""
    meta = document.get("meta") or {}
    if not isinstance(meta, dict):
        raise ContractError(f"{at}meta", meta, "an object")
    for key, kind in (("tags", dict), ("requestPath", dict), ("routing", dict), ("puid", str)):
        if key in meta and not isinstance(meta[key], kind):
            raise ContractError(f"{at}meta.{key}", meta[key], "an object" if kind is dict else "a string")
    if not _is_shallow(meta.get("tags")):
        raise ContractError(f"{at}meta.tags", Words("nested objects"), f"at most {_MAX_TAG_DEPTH} levels")
    puid = meta.get("puid", "")
    if not is_puid(puid):
        raise ContractError(f"{at}meta.puid", puid, f"up to {MAX_PUID} printable ASCII characters")
    return meta


def parse_feedback(document: Any) -> Feedback:
    """Parse Seldon's feedback; raise ContractError naming the field."""
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object")
    reward = document.get("reward", 0.0)
    if type(reward) not in (int, float) or not math.isfinite(reward):
        raise ContractError("reward", reward, "a finite number")
    response = document.get("response") or {}
    if not isinstance(response, dict):
        raise ContractError("response", response, "an object")
    routing = parse_meta(response, "response.").get("routing", {})
    for node, branch in routing.items():
        if type(branch) is not int:
            raise ContractError(f"response.meta.routing.{node[:63]}", branch, "the index of a child")
    rows = 1
    if request := document.get("request"):
        message, _ = parse_message(request, "request.")
        (array,) = message.tensors.values()
        rows = array.shape[0] if array.ndim else 1
    return Feedback(float(reward), routing, rows, document)


def _is_shallow(value: object) -> bool:
    """Return True unless lists and objects are nested too deeply to be encoded again."""
    level = [value]
    for _ in range(_MAX_TAG_DEPTH):
        level = [
            item
            for part in level
            if isinstance(part, dict | list)
            for item in (part.values() if isinstance(part, dict) else part)
        ]
    return not level


def build_data(array: Array, columns: Sequence[str], form: str) -> dict[str, Any]:
    """Build a message's `data`; text has no tensor form and is sent as ndarray."""
    names, array = list(columns) or default_columns(array), widen(array)
    if form == TENSOR and array.dtype != object:
        return {"names": names, TENSOR: {"shape": list(array.shape), "values": array.ravel()}}
    return {"names": names, NDARRAY: array.tolist() if array.dtype == object else np.ascontiguousarray(array)}


def default_columns(array: Array) -> list[str]:
    """Name the columns as Seldon's wrapper does: t:0, t:1, …"""
    return [f"t:{index}" for index in range(array.shape[1])] if array.ndim > 1 else []


def parse_nested(value: Any, at: str) -> Array:
    """Return nested lists as an array of the narrowest type for all values; raise ContractError."""
    values, shape = flatten_json(value, at)
    return parse_untyped(values, shape, at)


def _parse_tensor(value: Any, at: str) -> Array:
    if not isinstance(value, dict) or not isinstance(value.get("values"), list):
        raise ContractError(at, value, "an object with shape and values")
    shape = value.get("shape")
    if not is_shape(shape):
        raise ContractError(f"{at}.shape", shape, "a list of sizes")
    return parse_untyped(value["values"], shape, f"{at}.values")


def describe_failure(document: Any, default: str) -> str:
    """Return the text of Seldon's failure message."""
    status = document.get("status") if isinstance(document, dict) else None
    return shorten(status.get("info", status))[1:-1] if isinstance(status, dict) else default
