"""Helpers for contracts without pydantic, which run on devices: frozen dataclasses that validate themselves."""

import json
from typing import Any

from .errors import ContractError, Words


def load_json(content: bytes, max_bytes: int, at: str) -> Any:
    """Parse a document of at most `max_bytes`; raise ContractError for any invalid content."""
    if len(content) > max_bytes:
        raise ContractError(at, Words(f"{len(content)} bytes"), f"at most {max_bytes}")
    try:
        return json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise ContractError(at, Words("invalid JSON"), f"JSON ({error})") from None


def get(document: object, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
    """Return a field of an object; raise ContractError unless it is of exactly one of the types."""
    if not isinstance(document, dict):
        raise ContractError("", document, "an object")
    kinds = kind if isinstance(kind, tuple) else (kind,)
    value = document.get(key, Words("nothing"))
    require(type(value) in kinds, key, value, expected)
    return value


def require(holds: bool, field: str, got: object, expected: str) -> None:
    """Raise ContractError unless the condition holds."""
    if not holds:
        raise ContractError(field, got, expected)


def below(at: str, error: ContractError) -> ContractError:
    """Return the error of a part as an error of the whole, in which the part is at `at`."""
    field = f"{at}.{error.field}" if error.field else at
    return ContractError(field.lstrip("."), error.got, error.expected)


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")
