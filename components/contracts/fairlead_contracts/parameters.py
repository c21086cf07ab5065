"""The parameters of a training script, such as the learning rate: said by the script, recorded by the launcher."""

import math
from collections.abc import Mapping

from pydantic_core import from_json

MAX_PARAMETERS, MAX_PARAMETER_NAME, MAX_PARAMETER_VALUE = 50, 100, 200
MAX_BYTES = 1 << 13
"""The longest file: with a heartbeat's other parts, it fits a request to the launcher."""


def salvage_parameters_json(content: bytes) -> dict[str, str]:
    """Parse a file that a script may have written by hand, keeping the valid parameters."""
    try:
        return salvage_parameters(from_json(content)) if len(content) <= MAX_BYTES else {}
    except ValueError:
        return {}


def salvage_parameters(document: object) -> dict[str, str]:
    """Keep the valid parameters of a parsed document, as texts; the first ones if there are too many."""
    if not isinstance(document, dict):
        return {}
    valid = {name: str(value) for name, value in document.items() if find_problem(name, value) is None}
    return dict(list(valid.items())[:MAX_PARAMETERS])


def check_parameters(parameters: Mapping[str, object]) -> None:
    """Raise ValueError naming the first parameter that would not be recorded."""
    if len(parameters) > MAX_PARAMETERS:
        raise ValueError(f"parameters: got {len(parameters)}, expected at most {MAX_PARAMETERS}")
    for name, value in parameters.items():
        if problem := find_problem(name, value):
            raise ValueError(f"parameters: {str(name)[:MAX_PARAMETER_NAME]!r}: {problem}")


def find_problem(name: object, value: object) -> str | None:
    """Return why a parameter cannot be recorded; None if it can."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_PARAMETER_NAME or not name.isprintable():
        return f"expected a name of 1 to {MAX_PARAMETER_NAME} printable characters"
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return f"got {type(value).__name__}, expected a text, a finite number, or true or false"
    if isinstance(value, int) and abs(value) >= 10**MAX_PARAMETER_VALUE:
        return "got an integer that is too long"
    if not str(value).isprintable() or len(str(value)) > MAX_PARAMETER_VALUE:
        return f"expected at most {MAX_PARAMETER_VALUE} printable characters"
    return None
