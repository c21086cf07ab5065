"""Examples are chosen by what a served model answers, whatever else may answer in its place."""

import json
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import publish

from tests.support.ports import free_port

from .conftest import Desk
from .network import Classifier, serving
from .scripted import Answer, answering

METADATA = json.dumps({"name": "pets", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]}).encode()


def select(desk: Desk, url: str, *words: str) -> int:
    argv = ["--dataset", desk.dataset, "--model", desk.model, "--url", url, "--out", str(desk.tasks)]
    return desk.run("select", *argv, "--retry-seconds", "0", *words)


def test_a_real_graph_server_is_asked_for_the_whole_pool(desk: Desk) -> None:
    model = Classifier(np.random.default_rng(1).normal(size=(4, 3)), np.zeros(3))
    source, uri = desk.folder / "classifier", f"{desk.folder.as_uri()}/store/classifier"
    source.mkdir()
    (source / "model.onnx").write_bytes(model.to_onnx())
    publish(source, uri, kind="onnx-model", producer="tests/0")
    with serving(uri, desk.folder) as url:
        assert select(desk, url, "--count", "12", "--by", "margin") == 0, desk.errors()
    scores = np.sort(model.score(desk.arrays(desk.dataset)["pool"]["x"]), axis=1)
    expected = np.argsort(scores[:, -1] - scores[:, -2], kind="stable").tolist()
    assert [item["row"] for item in json.loads(desk.tasks.read_text())["items"]] == expected


def answer_with(metadata: Answer, infer: Answer) -> Any:
    return lambda method, path: infer if path.endswith("/infer") else metadata


def outputs(rows: int, classes: int, **changes: Any) -> bytes:
    tensor = {"name": "p", "datatype": "FP32", "shape": [rows, classes], "data": [1 / classes] * rows * classes}
    return json.dumps({"outputs": [tensor | changes]}).encode()


@pytest.mark.parametrize(
    ("metadata", "infer", "message"),
    [
        ((200, b"<html>"), (200, b""), "got b'<html>', expected JSON"),
        ((200, b"[]"), (200, b""), "expected the model's metadata with its inputs"),
        ((200, b'{"inputs": [{"name": "x", "datatype": "FP99"}]}'), (200, b""), "expected a name and a data type"),
        ((200, b'{"inputs": [{"name": "a", "datatype": "FP32"}, 5]}'), (200, b""), "its input 'a' is no array"),
        ((302, b"http://example.com"), (200, b""), "the server answered 302"),
        ((401, b"API key: no"), (200, b""), "the server answered 401: b'API key: no'"),
        ((200, METADATA), (200, outputs(5, 3)), "got scores [5, 3], expected 12 rows"),
        ((200, METADATA), (200, outputs(12, 3, shape=[12, 4])), "its answer: outputs"),
        ((200, METADATA), (200, outputs(12, 2)), "expected a column for each of the 3 labels"),
        ((200, METADATA), (200, b"{}"), "its answer: outputs"),
        ((200, b'{"inputs": [{"name": "x", "datatype": {}}]}'), (200, b""), "expected a name and a data type"),
        ((200, METADATA), (200, outputs(12, 1, shape=[], data=[0.5])), "got scores [], expected 12 rows"),
        ((200, METADATA), (400, b'{"error": "no"}'), "the server answered 400"),
    ],
)
def test_answers_that_are_nonsense_are_rejected(desk: Desk, metadata: Answer, infer: Answer, message: str) -> None:
    with answering(answer_with(metadata, infer)) as url:
        assert select(desk, f"{url}/v2/models/pets") == 2
    assert message in desk.errors()
    assert not desk.tasks.exists()


def test_a_server_that_fails_may_be_asked_again(desk: Desk) -> None:
    assert select(desk, f"http://127.0.0.1:{free_port()}/v2/models/pets") == 1
    answers = iter([(503, b"starting"), (200, METADATA), (429, b"busy"), (200, outputs(12, 3))])
    with answering(lambda *_: next(answers)) as url:
        assert select(desk, f"{url}/v2/models/pets", "--retry-seconds", "20") == 0, desk.errors()


def test_an_api_key_is_sent_and_never_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_API_KEY", "no spaces in keys")
    assert select(desk, "http://127.0.0.1:1/v2/models/pets") == 2
    message = desk.errors()
    assert "FAIRLEAD_API_KEY: got other characters" in message
    assert "spaces in" not in message


@pytest.mark.parametrize(
    "url",
    [
        "file:///v2/models/a", "http://me:secret@host/v2/models/a", "http://:secret@host/v2/models/a",
        "http://@host/v2/models/a", "http://host/other?secret", "http://[secret/v2/models/a",
        "http://host:secret/v2/models/a", "http://host/v2/models/a secret",
    ],
)  # fmt: skip
def test_urls_that_name_no_model_are_rejected_unseen(desk: Desk, url: str) -> None:
    assert select(desk, url) == 2
    message = desk.errors()
    assert "expected http(s)://host:port/v2/models/NAME" in message
    assert "secret" not in message


def test_what_cannot_be_a_task_is_rejected_before_the_model_is_asked(desk: Desk) -> None:
    asked = []
    uri = f"{desk.folder.as_uri()}/store/twice"
    desk.publish(uri, parameters={"labels": ["cat", "dog", "cat"]}, **desk.arrays(desk.dataset))
    with answering(lambda *request: (asked.append(request), (500, b""))[1]) as url:
        assert select(desk, f"{url}/v2/models/pets", "--dataset", uri) == 2
    assert "tasks.labels: got 'cat', expected each one once" in desk.errors()
    assert not asked
