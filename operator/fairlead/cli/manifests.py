"""Kubernetes objects as YAML, which means the same to `fairlead` and to kubectl.

kubectl and the API server read YAML with Go's parser, whose scalars differ from PyYAML's: `1e5` and `0899` are numbers
to it, `y` is true, and `1:30` and `2026-11-28` are texts. Both directions follow Go's here.
"""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from fairlead.cli.console import CommandError

Object = dict[str, Any]

_FLOAT = "tag:yaml.org,2002:float"
_INT = "tag:yaml.org,2002:int"
_BOOL = "tag:yaml.org,2002:bool"
_OTHERS = frozenset({_INT, _FLOAT, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
"""What PyYAML reads otherwise than Go."""


def read_manifests(path: Path) -> list[Object]:
    """Return the objects in a YAML file or in a folder's YAML files; raises CommandError."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    objects = []
    for file in files:
        try:
            documents = [document for document in yaml.load_all(file.read_text(), Loader=_Loader) if document]
        except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
            raise CommandError(f"{file}: {error}") from None
        for document in documents:
            if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= document.keys():
                raise CommandError(f"{file}: expected Kubernetes objects with apiVersion, kind and metadata")
            objects.append(document)
    if not objects:
        raise CommandError(f"{path}: no Kubernetes objects found")
    return objects


def format_manifests(objects: Iterable[Object]) -> str:
    """Return objects as YAML documents; texts of several lines are blocks, and there are no anchors."""
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Loader(yaml.SafeLoader):
    """Reads plain scalars as Go does."""

    bool_values: ClassVar = {**yaml.SafeLoader.bool_values, "y": True, "n": False}

    def read_int(self, node: yaml.ScalarNode) -> int:
        """Return a whole number; 017 is octal."""
        text = node.value.replace("_", "")
        return int(text, 8 if re.match("[-+]?0[0-7]", text) else 0)

    def read_float(self, node: yaml.ScalarNode) -> float | str:
        """Return a number, or the text if it is too large for one."""
        number: float = self.construct_yaml_float(node)
        return node.value if math.isinf(number) and "inf" not in node.value.lower() else number


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OTHERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_constructor(_INT, _Loader.read_int)
_Loader.add_constructor(_FLOAT, _Loader.read_float)
# without the numbers to the base of 60 of YAML 1.1, and with those of YAML 1.2; 0899 is no octal number
_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(0[bB]_*[01][01_]*|0[oO]?_*[0-7][0-7_]*|0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|0_*|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(_BOOL, re.compile("[yYnN]$"), list("yYnN"))


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks and no anchors, so that code and objects stay readable.

    A text that any parser could take for something else is quoted: whatever has only digits, signs and the letters of
    numbers.
    """

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver(_FLOAT, re.compile("[-+.0-9][-+.0-9a-fA-F_xXoO]*$"), list("-+.0123456789"))
_Dumper.add_implicit_resolver(_BOOL, re.compile("[yYnN]$"), list("yYnN"))
