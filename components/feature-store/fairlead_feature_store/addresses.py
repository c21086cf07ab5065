"""The addresses in a store's file: checked before a client misreads one and says it, with the password in it."""

import re
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import Unusable

_HOST = re.compile(r"[^@\s]+")
_NODE = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}")


def find_places(store: dict[str, Any]) -> str:
    """Return where registry and online store are if they are on other machines, without secrets; raise Unusable."""
    registry, online = store["registry"], store["online_store"]
    found = []
    path = registry.get("path") if isinstance(registry, dict) else registry
    if isinstance(path, str) and "://" in path and (url := _parse_url(path)).host:
        found.append(f"registry at {url.host}{f':{url.port}' if url.port else ''}")
    host, nodes = online.get("host"), online.get("connection_string")
    if isinstance(host, str):
        if not _HOST.fullmatch(host):
            raise Unusable("the store's file: online_store.host: got no name of a host")
        found.append(f"online store at {host}:{online.get('port', 5432)}")
    if isinstance(nodes, str) and online.get("type") in ("redis", "redis_cluster"):
        plain = [part for part in nodes.split(",") if "=" not in part]
        if not plain or not all(_NODE.fullmatch(part) for part in plain):
            expected = "host:port, or several, and name=value, with commas between"
            raise Unusable(f"the store's file: online_store.connection_string: got something else than {expected}")
        found.append(f"online store at {','.join(plain)}")
    return ", ".join(found)


def _parse_url(path: str) -> URL:
    try:
        url = make_url(path)
    except (ArgumentError, ValueError):
        url = None
    if url is None or "@" in (url.host or ""):
        raise Unusable(
            "the store's file: registry.path: got no URL whose parts can be told apart, expected "
            "scheme://user:password@host:port/name, where a password has %40 for @, %3A for : and %2F for /"
        )
    return url
