"""Lets a process of an elastic Horovod run that starts without a rank wait in `hvd.init()` until it has one.

Horovod asks the rendezvous for a rank when it is initialized again; a new process does the same here, once it has
imported what it needs. Python imports this module when it starts, because its folder is on PYTHONPATH. It needs the
standard library alone: the Python that runs the script may be another one than the agent's.
"""

import functools
import http.client
import importlib.machinery
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_MODULE = "horovod.common.basics"
_NO_PLACE = "-1"
_PLACE = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")
"""What the rendezvous answers, in this order."""
_ATTEMPTS, _PAUSE = 3, 0.5
"""As Horovod's own client."""


class _Finder:
    """Finds Horovod's module as Python would, and changes its `init` once it is loaded."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name != _MODULE:
            return None
        sys.meta_path.remove(cls)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                module.HorovodBasics.init = _wait_before(module.HorovodBasics.init)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _wait_before(init: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(init)
    def wait_and_init(*arguments: Any, **options: Any) -> Any:
        if os.environ.get("HOROVOD_RANK") == _NO_PLACE:
            _take_place()
        return init(*arguments, **options)

    return wait_and_init


def _take_place() -> None:
    """Wait for a place in an epoch, and take it. The agent ends the process if its launcher is gone for too long."""
    place = _ask().split(",")
    if place[0] == _NO_PLACE:
        raise RuntimeError("the elastic run has no place for this process")
    for name, value in zip(_PLACE, place, strict=True):
        os.environ[f"HOROVOD_{name}"] = value


def _ask() -> str:
    host, port = os.environ["HOROVOD_GLOO_RENDEZVOUS_ADDR"], int(os.environ["HOROVOD_GLOO_RENDEZVOUS_PORT"])
    path = f"/rank_and_size/{os.environ['HOROVOD_HOSTNAME']}:{os.environ['HOROVOD_LOCAL_RANK']}"
    for attempt in range(1, _ATTEMPTS + 1):
        connection = http.client.HTTPConnection(host, port)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            content = response.read()
            if response.status == 200:
                return content.decode()
            problem = f"it returned {response.status}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        if attempt < _ATTEMPTS:
            time.sleep(_PAUSE)
    raise RuntimeError(f"Horovod's rendezvous at {host}:{port} does not answer: {problem}")


def _load_hidden() -> None:
    """Import the sitecustomize that this one hides, if there is one."""
    here = Path(__file__).resolve().parent
    # for good: the other one may look for the one that it hides itself, and must not find this one
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("HOROVOD_RANK") == _NO_PLACE:
    sys.meta_path.insert(0, _Finder)
_load_hidden()
