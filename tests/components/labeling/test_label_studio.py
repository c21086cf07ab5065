"""Tasks to a real Label Studio and annotations out of it; servers that are gone or answer nonsense."""

import base64
import http.client
import io
import json
import threading
import time
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import read_manifest
from PIL import Image

from tests.support.label_studio import LabelStudioServer
from tests.support.ports import free_port

from .conftest import LABELS, Desk
from .scripted import Answer, answering
from .studio import Room, open_room


@pytest.fixture
def room(label_studio: LabelStudioServer, selected: Desk, monkeypatch: pytest.MonkeyPatch) -> Room:
    return open_room(label_studio, selected, monkeypatch, people=2)


def export(desk: Desk, *words: str) -> int:
    return desk.run("export", "--tasks", str(desk.tasks), *words)


def bring(desk: Desk, *words: str) -> int:
    return desk.run("import", "--tasks", str(desk.tasks), "--to", desk.next, *words)


def test_tasks_are_labelled_in_label_studio_and_come_back(selected: Desk, room: Room) -> None:
    assert export(selected, *room.words) == 0, selected.errors()
    items = selected.items()
    tasks = room.tasks()
    assert sorted(tasks) == sorted(items)
    row = selected.arrays(selected.dataset)["pool"]["x"][11]
    assert tasks[items[0]].data["values"] == pytest.approx(dict(zip("abcd", row.tolist(), strict=True)))
    right = {item: LABELS[place % 3] for place, item in enumerate(items)}
    ann, bob = room.annotators
    room.label({ann: right, bob: right | {items[0]: "dog"}})
    room.annotate(tasks[items[0]].id, room.annotators[0], ["cat"], was_cancelled=True)
    report = selected.folder / "report.json"
    assert bring(selected, *room.words, "--min-kappa", "0.7", "--report", str(report)) == 0, selected.errors()
    assert json.loads(report.read_text())["disputed"] == {items[0]: {f"user-{ann}": "cat", f"user-{bob}": "dog"}}
    assert len(selected.arrays(selected.next)["train"]["y"]) == 11

    # and a second time: nothing is created twice
    assert export(selected, *room.words) == 0
    assert len(list(room.client.tasks.list(project=room.number()))) == 6


def test_tasks_that_were_deleted_are_created_again(selected: Desk, room: Room) -> None:
    assert export(selected, *room.words) == 0
    lost = room.tasks()[selected.items()[3]]
    room.client.tasks.delete(id=str(lost.id))
    assert export(selected, *room.words) == 0
    assert sorted(room.tasks()) == sorted(selected.items())


def test_tasks_of_another_dataset_are_named(selected: Desk, room: Room) -> None:
    assert export(selected, *room.words) == 0
    data: Any = {"item": "0" * 64, "dataset": f"sha256:{'0' * 64}", "values": {"a": 1}}
    room.client.projects.import_tasks(room.number(), request=[{"data": data}])
    number = room.tasks()["0" * 64].id
    for command in (bring, export):
        assert command(selected, *room.words) == 2
        assert f"task {number}: belongs to the dataset sha256:0000" in selected.errors()
    assert not selected.published()


def test_a_task_of_another_program_is_rejected(selected: Desk, room: Room) -> None:
    assert export(selected, *room.words) == 0
    data: Any = {"values": {"a": 1}}
    room.client.projects.import_tasks(room.number(), request=[{"data": data}])
    assert bring(selected, *room.words) == 2
    assert "data.item: got nothing, expected a value" in selected.errors()


def test_two_choices_are_no_label(selected: Desk, room: Room) -> None:
    assert export(selected, *room.words) == 0
    item = selected.items()[0]
    room.annotate(room.tasks()[item].id, room.annotators[0], ["cat", "dog"])
    assert bring(selected, *room.words) == 2
    assert f"user-{room.annotators[0]}: got [{{'choices': ['cat', 'dog']}}], expected one choice" in selected.errors()


def test_pictures_are_shown_as_pictures(selected: Desk, room: Room) -> None:
    assert export(selected, "--picture", "2x2", *room.words) == 0
    data = room.tasks()[selected.items()[0]].data["picture"]
    picture = Image.open(io.BytesIO(base64.b64decode(data.removeprefix("data:image/png;base64,"))))
    assert (picture.size, picture.mode) == ((128, 128), "L")
    pool = selected.arrays(selected.dataset)["pool"]["x"]
    pixel = round(float((pool[11][0] - pool.min()) / (pool.max() - pool.min()) * 255))
    assert np.asarray(picture)[0, 0] == pixel


def test_a_wrong_token_is_named_by_its_variable_and_shown_nowhere(
    selected: Desk, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "f" * 40)
    assert export(selected, *room.words) == 2
    message = selected.errors()
    assert "answered 401" in message
    assert "f" * 40 not in message
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    assert export(selected, *room.words) == 2
    assert "LABEL_STUDIO_API_KEY: got nothing" in selected.errors()


def test_a_server_that_is_gone_for_a_while_is_asked_again(
    selected: Desk, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first requests find nobody, the next ones a server that is starting; then the real one is there."""
    port, asked = free_port(), []

    def forward(method: str, path: str) -> Answer:
        asked.append(path)
        if len(asked) < 3:
            return 503, b"starting"
        connection = http.client.HTTPConnection("127.0.0.1", room.server.port, timeout=60)
        connection.request(method, path, headers={"Authorization": f"Token {room.server.token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert export(selected, *room.words) == 0
    right = {item: LABELS[place % 3] for place, item in enumerate(selected.items())}
    room.label(dict.fromkeys(room.annotators, right))

    def start_late() -> None:
        time.sleep(1)
        with answering(forward, port):
            done.wait(60)

    done = threading.Event()
    thread = threading.Thread(target=start_late)
    thread.start()
    try:
        words = ["--label-studio", f"http://127.0.0.1:{port}", "--project", room.title]
        assert bring(selected, *words) == 0, selected.errors()
    finally:
        done.set()
        thread.join()
    assert len(selected.arrays(selected.next)["train"]["y"]) == 12
    assert "retrying" in selected.errors()


def test_a_server_that_stays_away_may_be_tried_again(selected: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret-token")
    words = ["--label-studio", f"http://127.0.0.1:{free_port()}", "--project", "pets", "--retry-seconds", "0"]
    assert bring(selected, *words) == 1
    assert "ConnectError" in selected.errors()
    assert not selected.published()


def list_projects(*projects: dict[str, Any]) -> Answer:
    return 200, json.dumps({"count": 1, "next": None, "previous": None, "results": projects}).encode()


PROJECTS = list_projects({"id": 7, "title": "pets"})
TASK = {"id": 1, "data": {"item": "a" * 64, "dataset": "sha256:" + "0" * 64}, "annotations": []}
ENDLESS = 200, json.dumps({"total": 10**6, "tasks": [TASK]}).encode()
"""Each page is the first one again."""


def answer_task(completed_by: Any = 7, choices: Any = ("cat",)) -> Answer:
    """Return a page with an annotated task of any dataset."""
    result = [{"from_name": "label", "value": {"choices": choices}}]
    task = TASK | {"annotations": [{"id": 1, "completed_by": completed_by, "result": result}]}
    return 200, json.dumps({"total": 1, "tasks": [task]}).encode()


@pytest.mark.parametrize(
    ("projects", "tasks", "message"),
    [
        ((200, b"<html>hello"), None, "answered 200"),
        ((200, b"[1, 2]"), None, "is none of Label Studio's"),
        (list_projects({"id": "x", "title": "pets"}), None, "got the projects ['x'] named pets"),
        ((302, b"http://example.com/"), None, "answered 302"),
        ((403, b'{"detail": "no secret-token"}'), None, "answered 403: 'no ***'"),
        (PROJECTS, (200, b'{"tasks": 5, "results": [5]}'), "127.0.0.1"),
        (PROJECTS, (200, b'{"tasks": [{"id": 1, "data": "x", "annotations": [{"result": 5}]}]}'), "task"),
        (PROJECTS, ENDLESS, "lists task 1 twice"),
        (list_projects(), None, "has no project named pets"),
        (list_projects(*[{"id": 7, "title": "other pets"}] * 101), None, "more than 100 projects have pets in"),
        (PROJECTS, answer_task(completed_by={}), "completed_by"),
        (PROJECTS, answer_task(completed_by={"id": "7\n"}), "completed_by"),
        (PROJECTS, answer_task(completed_by=10**4000), "completed_by"),
        (PROJECTS, answer_task(choices=["c\nat"]), "label: got 'c\\nat', expected one line of text"),
    ],
)
def test_answers_that_are_nonsense_are_rejected(
    selected: Desk, monkeypatch: pytest.MonkeyPatch, projects: Answer, tasks: Answer | None, message: str
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret-token")

    def answer(_: str, path: str) -> Answer:
        first = "page=1" in path
        if path.startswith("/api/projects"):
            return projects if first else list_projects()
        return pages if first or tasks is ENDLESS else (200, b'{"total": 1, "tasks": []}')

    status, body = tasks or (404, b"")
    pages = status, body.replace(b"sha256:" + b"0" * 64, read_manifest(selected.dataset).digest.encode())
    with answering(answer) as url:
        words = ["--label-studio", url, "--project", "pets", "--retry-seconds", "0"]
        assert bring(selected, *words) == 2
    text = selected.errors()
    assert message in text
    assert "secret-token" not in text
    assert not selected.published()


URLS = (
    "ftp://host", "http://me:secret@host", "http://:secret@host", "http://host/?token=secret", "secret", "http://[secret",
    "http://host:secret", "http://@host",
)  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_urls_with_more_than_a_place_are_rejected_unseen(selected: Desk, url: str) -> None:
    assert bring(selected, "--label-studio", url, "--project", "pets") == 2
    message = selected.errors()
    assert "expected http(s)://host:port" in message
    assert "secret" not in message


def test_no_second_project_is_created_where_the_first_may_be_unseen(
    selected: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret-token")
    created = []

    def answer(method: str, _: str) -> Answer:
        if method == "POST":
            created.append(method)
        return list_projects(*({"id": number, "title": f"pets {number}"} for number in range(101)))

    with answering(answer) as url:
        assert export(selected, "--label-studio", url, "--project", "pets", "--retry-seconds", "0") == 2
    assert "more than 100 projects have pets in their titles" in selected.errors()
    assert not created
