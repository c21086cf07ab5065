"""The graph as configured: graph.json, parsed into frozen objects and checked before anything is loaded."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import GraphRefused, Words, shorten
from .roles import ROLES

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NODE_FIELDS = {"name", "type", "modelUri", "digest", "endpoint", "children"}


@dataclass(frozen=True)
class Endpoint:
    """Where a Seldon microservice listens."""

    host: str
    port: int


@dataclass(frozen=True)
class NodeSpec:
    """One node: in process (model_uri) or remote (endpoint)."""

    name: str
    type: str
    model_uri: str | None = None
    digest: str | None = None
    endpoint: Endpoint | None = None
    children: tuple["NodeSpec", ...] = ()

    def walk(self) -> Iterator["NodeSpec"]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class GraphSpec:
    """A predictor's graph and the names that its metrics carry."""

    deployment: str
    predictor: str
    namespace: str
    root: NodeSpec


def load_spec(path: Path) -> GraphSpec:
    """Read and check graph.json; raise GraphRefused naming the field."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise GraphRefused(str(path), f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise GraphRefused(str(path), f"is not JSON: {error}") from None
    return parse_spec(document)


def parse_spec(document: Any) -> GraphSpec:
    """Parse the content of graph.json."""
    _check(isinstance(document, dict), "graph.json", document, "an object")
    deployment = _text(document, "deployment", "")
    predictor = _text(document, "predictor", "")
    namespace = document.get("namespace", "default")
    _check(isinstance(namespace, str), "namespace", namespace, "a string")
    root = _parse_node(document.get("graph"), "graph")
    names = [node.name for node in root.walk()]
    for name in names:
        _check(names.count(name) == 1, "graph", Words(f"{names.count(name)} nodes named {name}"), "every name once")
    return GraphSpec(deployment, predictor, namespace, root)


def _parse_node(value: Any, at: str) -> NodeSpec:
    _check(isinstance(value, dict), at, value, "an object with name, type and modelUri or endpoint")
    for key in value:
        _check(key in _NODE_FIELDS, f"{at}.{key}", value[key], f"no field but {', '.join(sorted(_NODE_FIELDS))}")
    name, kind = _text(value, "name", at), value.get("type")
    _check(kind in ROLES, f"{at}.type", kind, f"one of {', '.join(ROLES)}")
    children = value.get("children") or []
    _check(isinstance(children, list), f"{at}.children", children, "a list")
    least, most = ROLES[kind].children
    _check(
        len(children) >= least, f"{at}.children", Words(f"{len(children)} of them"), f"at least {least} below a {kind}"
    )
    _check(
        len(children) <= most, f"{at}.children", Words(f"{len(children)} of them"), f"at most {most:g} below a {kind}"
    )
    model_uri, digest, endpoint = value.get("modelUri"), value.get("digest"), value.get("endpoint")
    _check((model_uri is None) != (endpoint is None), at, {"modelUri": model_uri, "endpoint": endpoint}, "one of them")
    valid = model_uri is None or (isinstance(model_uri, str) and "://" in model_uri)
    _check(valid, f"{at}.modelUri", model_uri, "a URI")
    valid = digest is None or (isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None)
    _check(valid, f"{at}.digest", digest, "sha256: and 64 hexadecimal digits")
    return NodeSpec(
        name=name,
        type=kind,
        model_uri=model_uri,
        digest=digest,
        endpoint=None if endpoint is None else _parse_endpoint(endpoint, f"{at}.endpoint"),
        children=tuple(_parse_node(child, f"{at}.children[{index}]") for index, child in enumerate(children)),
    )


def _parse_endpoint(value: Any, at: str) -> Endpoint:
    _check(isinstance(value, dict), at, value, "an object with host and port")
    host, port, kind = value.get("host"), value.get("port"), value.get("type", "REST")
    _check(isinstance(host, str) and host != "", f"{at}.host", host, "a host name or address")
    _check(type(port) is int and 0 < port < 65536, f"{at}.port", port, "a port, 1 to 65535")
    _check(kind == "REST", f"{at}.type", kind, "REST")
    return Endpoint(host, port)


def _text(value: dict[str, Any], key: str, at: str) -> str:
    text = value.get(key)
    _check(isinstance(text, str) and text != "", f"{at}.{key}".lstrip("."), text, "a string that is not empty")
    return str(text)


def _check(holds: bool, at: str, got: object, expected: str) -> None:
    if not holds:
        raise GraphRefused(at, f"got {shorten(got)}, expected {expected}")
