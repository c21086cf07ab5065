"""The store's file: `registry` and `online_store` in the format of Feast's feature_store.yaml. Without Feast."""

import os
import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_contracts.errors import shorten

from .errors import Unusable

_MAX_BYTES = 1 << 16
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_store(file: Path) -> dict[str, Any]:
    """Read `registry` and `online_store` from a file in the format of Feast's feature_store.yaml; raise Unusable.

    `${NAME}` is an environment variable, so that secrets need not be in it.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}, expected the store's file (feature_store.yaml)") from None
    if len(content) > _MAX_BYTES:
        raise Unusable(f"{file}: got {len(content)} bytes, expected at most {_MAX_BYTES}")
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError):
        raise Unusable(f"{file}: got no YAML") from None  # its text may hold a password
    wanted = ("registry", "online_store")
    if not isinstance(document, dict) or not all(isinstance(document.get(name), dict) for name in wanted):
        keys = list(document) if isinstance(document, dict) else type(document).__name__
        raise Unusable(f"{file}: got {shorten(keys)}, expected objects {' and '.join(wanted)}")
    return {name: _expand(document[name], str(file)) for name in wanted}


def _expand(value: Any, at: str) -> Any:
    """Return a value of parsed YAML with `${NAME}` replaced in its texts; raise Unusable if it is unset."""
    if isinstance(value, dict):
        return {key: _expand(item, at) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, at) for item in value]
    return _VARIABLE.sub(lambda match: _read(match[1], at), value) if isinstance(value, str) else value


def _read(name: str, at: str) -> str:
    if name not in os.environ:
        raise Unusable(f"{at}: got ${{{name}}}, expected the name of an environment variable that is set")
    return os.environ[name]
