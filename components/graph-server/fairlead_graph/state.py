"""What the routers of a graph have learned, in a file that outlives the server's container, but not its pod."""

import asyncio
import logging
from pathlib import Path
from typing import Any, ClassVar, Literal

from fairlead_contracts.base import Contract
from fairlead_contracts.errors import ContractError
from pydantic import Field

_log = logging.getLogger(__name__)
_FILE = "routers.json"
_PAUSE_SECONDS = 1.0
"""Feedback may arrive thousands of times a second; at most this much of it is lost."""


class _Document(Contract):
    """The file."""

    max_bytes: ClassVar[int] = 1 << 20

    schema_: Literal["fairlead.dev/router-state/v1"] = Field("fairlead.dev/router-state/v1", alias="schema")
    version: str
    """The version of the graph that has learned it."""
    nodes: dict[str, list[list[float]]]
    """By node, the rewarded and unrewarded rows of each branch."""


class StateFile:
    """Keeps the state of one version of a graph; that of another is forgotten."""

    def __init__(self, folder: Path, version: str) -> None:
        self._path, self._version = folder / _FILE, version
        self._state: Any = None
        self._timer: asyncio.TimerHandle | None = None

    def read(self) -> Any:
        """Return what was kept, or None; a file that cannot be read is only logged."""
        try:
            with self._path.open("rb") as file:
                document = _Document.parse_json(file.read(_Document.max_bytes + 1), _FILE)
        except FileNotFoundError:
            return None
        except (OSError, ContractError) as error:
            _log.warning("what routers have learned cannot be read", extra={"reason": str(error)})
            return None
        return document.nodes if document.version == self._version else None

    def keep(self, state: Any) -> None:
        """Write a state, soon."""
        self._state = state
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self.write)

    def write(self) -> None:
        """Write the latest state, if it is not written yet."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        content = _Document(version=self._version, nodes=self._state).model_dump_json(by_alias=True)
        new = self._path.with_suffix(".new")
        try:
            new.write_text(content)
            new.replace(self._path)
        except OSError as error:
            _log.warning("what routers have learned cannot be kept", extra={"reason": str(error)})
