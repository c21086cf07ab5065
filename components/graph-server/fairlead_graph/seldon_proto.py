"""Seldon's messages as protocol buffers: from the documents that its JSON has, and to them. For clients and nodes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.tensors import Array
from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import DecodeError, Message

from .protocols.seldon_prediction_pb2 import Feedback, SeldonMessage, SeldonMessageList
from .roles import Method
from .seldon_message import NDARRAY, TENSOR

_LARGEST = (1 << 53) - 1
_MAX_META_BYTES = 256 << 10
"""Nothing else happens while tags and the like are converted, which takes a second for some megabytes."""
_METHODS: dict[Method, str] = {
    "predict": "Model/Predict",
    "transform-input": "Generic/TransformInput",
    "transform-output": "Generic/TransformOutput",
    "route": "Generic/Route",
    "aggregate": "Generic/Aggregate",
    "send-feedback": "Generic/SendFeedback",
}


def action(method: Method) -> str:
    """Return the gRPC method of one of Seldon's methods."""
    return f"/seldon.protos.{_METHODS[method]}"


def encode(method: Method, document: Mapping[str, Any]) -> bytes:
    """Encode a message of a method; raise ContractError if a message cannot hold it."""
    if method == "aggregate":
        messages = [_build(item) for item in document["seldonMessages"]]
        return bytes(SeldonMessageList(seldonMessages=messages).SerializeToString())
    if method == "send-feedback":
        return bytes(_parse(document, Feedback(), "feedback").SerializeToString())
    return bytes(_build(document).SerializeToString())


def encode_meta(meta: Mapping[str, Any]) -> bytes:
    """Encode a message without data; raise ContractError if a message cannot hold it."""
    return bytes(SeldonMessage(meta=_parse(meta, SeldonMessage().meta, "meta")).SerializeToString())


def decode(content: bytes) -> dict[str, Any]:
    """Decode a message into the document that it would be in JSON; raise ContractError."""
    return _to_document(_read(SeldonMessage, content))


def decode_list(content: bytes) -> dict[str, Any]:
    """Decode the outputs of a combiner's children into the document that they would be in JSON; raise ContractError."""
    return {"seldonMessages": [_to_document(each) for each in _read(SeldonMessageList, content).seldonMessages]}


def decode_feedback(content: bytes) -> dict[str, Any]:
    """Decode feedback into the document that it would be in JSON; raise ContractError."""
    feedback = _read(Feedback, content)
    document: dict[str, Any] = {"reward": feedback.reward}
    for name in ("request", "response", "truth"):
        if feedback.HasField(name):
            document[name] = _to_document(getattr(feedback, name))
    return document


def read_rows(rows: Any) -> list[Any]:
    """Return a ListValue as the lists that it is in JSON; an object in it, which is no value of an array, is empty.

    (`json_format` takes many times as long, during which nothing else is answered.)
    """
    found: list[Any] = []
    for value in rows.values:
        kind = value.WhichOneof("kind")
        if kind == "list_value":
            found.append(read_rows(value.list_value))
        elif kind == "struct_value":
            found.append({})
        else:
            found.append(getattr(value, kind) if kind and kind != "null_value" else None)
    return found


def _read(kind: type[Message], content: bytes) -> Any:
    try:
        return kind.FromString(content)
    except DecodeError:
        raise ContractError("message", content[:80], f"a {kind.DESCRIPTOR.name}") from None


def _to_document(message: Any) -> dict[str, Any]:
    data = message.data
    kind = data.WhichOneof("data_oneof")
    document: dict[str, Any] = {"data": {"names": list(data.names)}}
    if kind == TENSOR:
        values = list(data.tensor.values)
        document["data"][TENSOR] = {"shape": list(data.tensor.shape), "values": values}
    elif kind == NDARRAY:
        document["data"][NDARRAY] = read_rows(data.ndarray)
    elif message.WhichOneof("data_oneof"):
        document = {message.WhichOneof("data_oneof"): None}
    if (size := message.meta.ByteSize()) > _MAX_META_BYTES:
        raise ContractError("meta", Words(f"{size} bytes"), f"at most {_MAX_META_BYTES}")
    document["meta"] = _to_json(message.meta, "meta")
    return document


def _build(document: Mapping[str, Any]) -> Any:
    data = document["data"]
    message = SeldonMessage(meta=_parse(document["meta"], SeldonMessage().meta, "meta"))
    message.data.names.extend(data["names"])
    if TENSOR in data:
        _fill_tensor(message.data, data[TENSOR])
    else:
        values = data[NDARRAY]
        if isinstance(values, np.ndarray):
            _check_integers(values)
            values = values.tolist()
        _write_rows(message.data.ndarray, values if isinstance(values, list) else [values])
        message.data.ndarray.SetInParent()
    return message


def _write_rows(rows: Any, values: list[Any]) -> None:
    """Fill a ListValue with lists of booleans, numbers or texts."""
    for value in values:
        item = rows.values.add()
        if isinstance(value, list):
            item.list_value.SetInParent()
            _write_rows(item.list_value, value)
        elif isinstance(value, str):
            item.string_value = value
        elif isinstance(value, bool):
            item.bool_value = value
        else:
            item.number_value = value


def _check_integers(values: Array) -> None:
    """Raise ContractError for an integer that a double, all that Seldon's messages have for numbers, cannot hold."""
    if values.dtype.kind in "iu" and (large := values[np.abs(values.astype(np.float64)) > _LARGEST]).size:
        raise ContractError("the tensor of Seldon's message", int(large[0]), f"integers up to {_LARGEST}, as doubles")


def _fill_tensor(data: Any, tensor: Mapping[str, Any]) -> None:
    values: Array = tensor["values"]
    _check_integers(values)
    data.tensor.values.extend(values.astype(np.float64).ravel().tolist())
    data.tensor.shape.extend(tensor["shape"])
    data.tensor.SetInParent()


def _parse(document: Any, message: Message, at: str) -> Any:
    try:
        return ParseDict(document, message, ignore_unknown_fields=True)
    except JsonError as error:
        raise ContractError(at, Words("a message"), f"one that Seldon's protocol can hold ({error})") from None


def _to_json(message: Message, at: str) -> Any:
    try:
        return MessageToDict(message, preserving_proto_field_name=True)
    except (JsonError, ValueError) as error:
        raise ContractError(at, Words("a value"), f"one that JSON can hold ({error})") from None
