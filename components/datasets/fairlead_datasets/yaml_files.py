"""Documents that people write: YAML, or JSON, which is YAML too."""

import json
from pathlib import Path
from typing import TypeVar

import yaml  # type: ignore[import-untyped, unused-ignore]
from fairlead_contracts.base import Contract
from fairlead_contracts.errors import ContractError

from .errors import Unusable

MAX_BYTES = 256 << 10
"""The longest document."""
_Document = TypeVar("_Document", bound=Contract)


def read_document(kind: type[_Document], file: Path, name: str) -> _Document:
    """Read a document, which errors call `name`; raise Unusable naming the field."""
    try:
        content = file.read_bytes()
        if len(content) > MAX_BYTES:
            raise Unusable(f"{file}: got {len(content)} bytes, expected at most {MAX_BYTES}")
        document = yaml.load(content, _Loader)  # a safe loader
        text = json.dumps(document, default=str)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}, expected a {name}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise Unusable(f"{file}: is not YAML: {' '.join(str(error).split())}") from None
    try:
        return kind.parse_json(text, name)
    except ContractError as error:
        raise Unusable(f"{file}: {error}") from None


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
    """Loads plain YAML without aliases, which could make a small file large."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Reject an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("has an alias (*name), expected none")
        return super().compose_node(parent, index)
