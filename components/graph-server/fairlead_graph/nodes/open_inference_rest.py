"""The Open Inference Protocol v2 over REST, as its client speaks it: tensors as JSON, which every server accepts."""

import numpy as np
import orjson
from fairlead_contracts.errors import ContractError, Words, shorten
from fairlead_contracts.inference import build_tensor, parse_answer
from fairlead_contracts.tensors import is_float
from fairlead_serving.bodies import parse_json
from fairlead_serving.errors import BadRequest

from ..tensors import Tensors
from .open_inference import Wire
from .remote import Answer


def build_wire(model: str) -> Wire:
    """Return the actions and bodies for a model."""
    path = f"/v2/models/{model}"
    return Wire(
        ready=f"{path}/ready", metadata=path, infer=f"{path}/infer", question=None, encode=_encode,
        decode=lambda content, specs: parse_answer(parse_json(content), specs), read_ready=_read_ready,
        read_metadata=parse_json, explain=_explain,
    )  # fmt: skip


def _encode(tensors: Tensors) -> bytes:
    for name, array in tensors.items():
        if is_float(array.dtype) and not np.isfinite(array).all():
            raise ContractError(
                f"tensor {name}", Words("a number that is not finite"), "finite ones: JSON has no others"
            )
    inputs = [build_tensor(name, array) for name, array in tensors.items()]
    return orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)


def _read_ready(answer: Answer) -> bool:
    """Return whether a model is ready; the status alone says it where the body says nothing."""
    if not answer.content:
        return True
    document = parse_json(answer.content)
    return not isinstance(document, dict) or document.get("ready", True) is True


def _explain(answer: Answer) -> str:
    try:
        document = parse_json(answer.content[: 1 << 16])
    except BadRequest:
        return shorten(answer.content)
    return shorten(document.get("error", document) if isinstance(document, dict) else document)
