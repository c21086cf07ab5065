"""A real Label Studio, in the environment `label-studio` (tests/label-studio), with SQLite."""

import contextlib
import http.client
import os
import secrets
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ports import free_port

_START_SECONDS = 600
"""The first start makes the database by some hundred migrations: a minute of a core, which may have other work."""
_DATABASE = "label_studio.sqlite3"


@dataclass(frozen=True)
class LabelStudioServer:
    """A running server, and the token of its administrator."""

    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def started_label_studio(folder: Path) -> Iterator[LabelStudioServer]:
    """Run a server with an empty database during the block."""
    home = Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead")
    environment = home / "envs" / "label-studio"
    program, template = environment / "bin" / "label-studio", environment / _DATABASE
    assert program.exists(), f"{program}: no such file; `make setup` makes the environment label-studio"
    data, server = folder / "label-studio", LabelStudioServer(free_port(), secrets.token_hex(20))
    data.mkdir()
    if template.exists():
        shutil.copyfile(template, data / _DATABASE)
    argv = [str(program), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(server.port),
            "--enable-legacy-api-token"]  # fmt: skip
    with (folder / "label-studio.log").open("wb") as log:
        process = subprocess.Popen(argv, env=_build_environment(server, data), stdout=log, stderr=log)
    try:
        _wait_until_ready(server.port, process, folder / "label-studio.log")
        if not template.exists():
            _save(data / _DATABASE, template)
        yield server
    finally:
        process.kill()
        process.wait()


def _build_environment(server: LabelStudioServer, data: Path) -> dict[str, str]:
    # an administrator of its own in each run: those of earlier ones are in the template
    name = f"admin-{secrets.token_hex(4)}@example.com"
    own = {"USERNAME": name, "PASSWORD": secrets.token_urlsafe(16), "USER_TOKEN": server.token, "BASE_DATA_DIR": data}
    variables = {f"LABEL_STUDIO_{key}": str(value) for key, value in own.items()}
    offline = {"COLLECT_ANALYTICS": "0", "LATEST_VERSION_CHECK": "0", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
    # Python of the tests' environment must not find packages of this one
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return inherited | variables | offline | {"DJANGO_DB": "sqlite"}


def _save(database: Path, template: Path) -> None:
    """Keep the database as it is after the migrations; another run may do the same."""
    part = template.with_name(f".{secrets.token_hex(4)}.part")
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    part.replace(template)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.5)
    raise AssertionError(f"Label Studio is not ready after {_START_SECONDS} s: {log.read_text()[-3000:]}")
