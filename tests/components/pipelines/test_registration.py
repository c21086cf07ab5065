"""The step `register` against a real MLflow server."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fairlead_pipelines.main import main

from tests.support.ports import free_port

COMMAND = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"), "envs", "tracking", "bin", "mlflow")
DIGEST = f"sha256:{'1' * 64}"
URI = "s3://models/digits-onnx/v1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with a database of its own."""
    if not COMMAND.exists():
        pytest.skip(f"{COMMAND}: not found; `fairlead setup --tests` installs it")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    words = ["server", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    words += [f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={folder}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([COMMAND, *words], stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(url, process, folder / "log")
        yield url
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        else:
            return


def read(server: str, path: str) -> Any:
    with urllib.request.urlopen(f"{server}/api/2.0/mlflow/{path}", timeout=60) as answer:
        return json.load(answer)


def register(server: str, out: Path, *flags: str, uri: str = URI, digest: str = DIGEST) -> tuple[int, Any]:
    words = ["--tracking-uri", server, "--name", "digits", "--model", uri, "--digest", digest, "--out", str(out)]
    code = main(["register", *words, *flags])
    return code, json.loads(out.read_text()) if out.exists() else None


def test_a_version_names_the_artifact_and_is_made_once(server: str, tmp_path: Path) -> None:
    assert register(server, tmp_path / "1", "--alias=champion", "--tag=run=digits-1") == (
        0, {"name": "digits", "version": "1"},
    )  # fmt: skip
    version = read(server, "model-versions/get?name=digits&version=1")["model_version"]
    assert version["source"] == URI
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert tags == {"fairlead.digest": DIGEST, "run": "digits-1"}
    assert register(server, tmp_path / "2", "--alias=champion")[1]["version"] == "1", "a retried step"

    other = register(server, tmp_path / "3", "--alias=champion", digest=f"sha256:{'2' * 64}")[1]
    assert other["version"] == "2"
    assert read(server, "registered-models/alias?name=digits&alias=champion")["model_version"]["version"] == "2"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--name=x' or name='y"], "--name: got"),
        (["--tag=run"], "--tag: got run, expected KEY=VALUE"),
        (["--tracking-uri=http://127.0.0.1:9"], "the registry does not answer"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, capsys: Any, flags: list[str], message: str) -> None:
    words = ["--tracking-uri=http://127.0.0.1:9", "--name=digits", f"--model={URI}", f"--digest={DIGEST}"]
    assert main(["register", *words, *flags]) == 1
    assert message in capsys.readouterr().err
