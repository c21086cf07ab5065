"""A model process whose configuration and requests say what goes wrong: `python tiny_model.py FD`."""

import asyncio
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fairlead_serving.child import LoadFailed, NotYet, Reply, Report, run_child

FOREVER = 1000.0


class TinyModel:
    """Repeats requests, and fails as it is told."""

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:
        self._config = config
        report("part a", "load")
        if tokens := config.get("tokens"):
            take_one(Path(tokens))
        fail(config.get("load", ""))
        if (broken := config.get("broken")) and Path(broken).exists():
            raise LoadFailed("part b", "is broken")
        if reason := config.get("invalid"):
            raise LoadFailed("part b", reason)
        self._place = config["places"].add("part a")
        return {"fact": 1, "places": config["places"].names}, body

    async def check(self) -> str | None:
        if reason := self._config.get("never"):
            raise LoadFailed("part c", reason)
        if (folder := self._config.get("unready")) and (Path(folder) / str(os.getpid())).exists():
            return "this process cannot answer"
        return self._find_missing("needs")

    def changed(self) -> Reply | None:
        file = Path(self._config.get("facts", "/nowhere"))
        return ({"fact": 2}, b"changed") if file.exists() else None

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:
        if missing := self._find_missing("warm_up_needs"):
            raise NotYet(f"the warm-up has to wait: {missing}")
        with self._place:
            fail(self._config["warm_up"][attempt] if "warm_up" in self._config else "")
        return self._config.get("problem"), {"attempt": attempt}

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        if head.get("do") == "wait":
            await asyncio.sleep(FOREVER)
        await asyncio.sleep(0 if head["alone"] else head.get("sleep", 0))
        with self._place:
            fail(head.get("do", ""))
        if head.get("do") == "remember":
            self._config["state"] = body.decode()
            return {"state": body.decode()}, b""
        if head.get("do") == "recall":
            return {"pid": os.getpid()}, str(self._config["state"]).encode()
        return {"pid": os.getpid(), "alone": head["alone"], "bytes": resource.getrlimit(resource.RLIMIT_DATA)[0]}, body

    def restore(self, state: Any) -> None:
        self._config["state"] = state

    async def close(self) -> None:
        pass

    def _find_missing(self, key: str) -> str | None:
        """Return which file that the configuration names does not exist."""
        file = self._config.get(key)
        return f"{Path(file).name} is missing" if file and not Path(file).exists() else None


def take_one(folder: Path) -> None:
    """Remove a file of a folder, once there is one: as many processes can load as there were files."""
    while True:
        for file in folder.iterdir():
            with suppress(FileNotFoundError):
                file.unlink()
                return
        time.sleep(0.01)


def fail(how: str) -> None:
    """Fail in one of the ways in which a model can."""
    if how == "crash":
        os.kill(os.getpid(), signal.SIGFPE)
    elif how == "exit":
        os._exit(3)
    elif how == "hang":
        time.sleep(FOREVER)
    elif how == "allocate":
        bytearray(1 << 40)
    elif how == "raise":
        raise KeyError("an error in the program")


if __name__ == "__main__":
    sys.exit(run_child(TinyModel()))
