"""A file store that fails before it works, as an object store does in an outage of seconds."""

from collections.abc import Callable
from typing import Any

import pytest
from fairlead_artifacts import StoreUnavailable, retries
from fairlead_artifacts.local_store import LocalStore


def interrupt_store(monkeypatch: pytest.MonkeyPatch, uri: str) -> list[str]:
    """Make the first read and the first write of the artifacts below a URI fail; return the list of those that did."""
    failed: list[str] = []

    def fail_first(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(store: LocalStore, location: Any, *arguments: Any) -> Any:
            if name not in failed and location.uri.startswith(uri):
                failed.append(name)
                raise StoreUnavailable(location.uri, "made unavailable by a test")
            return method(store, location, *arguments)

        return call

    for name in ("read_manifest", "write"):
        monkeypatch.setattr(LocalStore, name, fail_first(name, getattr(LocalStore, name)))
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)
    return failed
