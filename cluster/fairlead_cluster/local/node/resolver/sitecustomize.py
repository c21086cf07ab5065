"""Makes the local cluster's DNS names resolve in a pod's Python processes. First on their PYTHONPATH.

The node keeps a hosts file (FAIRLEAD_NODE_HOSTS) of full names; FAIRLEAD_NODE_SEARCH completes short ones, as does
a search list in /etc/resolv.conf. Programs that are not Python, and `python -I`, do not see these names.
"""

import importlib.machinery
import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Any

_HERE = str(Path(__file__).parent)
_CLUSTER = (".svc", ".svc.cluster.local")
_getaddrinfo = socket.getaddrinfo
_gethostbyname = socket.gethostbyname
_gethostbyname_ex = socket.gethostbyname_ex


class _Hosts:
    """The hosts file, read again when it has changed."""

    def __init__(self, path: str, search: list[str]) -> None:
        self._path, self._search = Path(path), search
        self._version: tuple[int, int] | None = None
        self._addresses: dict[str, list[str]] = {}

    def find(self, host: Any) -> list[str] | None:
        """Return a name's addresses; None for names that are not the cluster's."""
        name = (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)).rstrip(".").lower()
        if not name or name.replace(".", "").isdigit() or ":" in name:
            return None
        if name == os.environ.get("HOSTNAME"):
            return [os.environ["FAIRLEAD_BIND_ADDRESS"]]
        self._read()
        for suffix in ("", *self._search):
            if found := self._addresses.get(f"{name}.{suffix}".rstrip(".")):
                return found
        if name.endswith(_CLUSTER):
            raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {name}")
        return None

    def _read(self) -> None:
        try:
            stat = self._path.stat()
            if self._version == (stat.st_ino, stat.st_mtime_ns):
                return
            lines = self._path.read_text().splitlines()
        except OSError:
            return
        addresses: dict[str, list[str]] = {}
        for line in lines:
            address, *names = line.split()
            for name in names:
                addresses.setdefault(name, []).append(address)
        self._version, self._addresses = (stat.st_ino, stat.st_mtime_ns), addresses


def _install(hosts: _Hosts) -> None:
    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        found = hosts.find(host) if host else None
        if found is None:
            return _getaddrinfo(host, port, *args, **kwargs)
        return [entry for address in found for entry in _getaddrinfo(address, port, *args, **kwargs)]

    def gethostbyname(host: str) -> str:
        found = hosts.find(host)
        return found[0] if found else _gethostbyname(host)

    def gethostbyname_ex(host: str) -> Any:
        found = hosts.find(host)
        return (host, [], found) if found else _gethostbyname_ex(host)

    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = gethostbyname
    socket.gethostbyname_ex = gethostbyname_ex


def _run_shadowed() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    others = [entry for entry in sys.path if entry != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec and spec.loader:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


if path := os.environ.get("FAIRLEAD_NODE_HOSTS"):
    _install(_Hosts(path, os.environ.get("FAIRLEAD_NODE_SEARCH", "").split()))
_run_shadowed()
