"""Annotators at a real Label Studio."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from label_studio_sdk import LabelStudio

from tests.support.label_studio import LabelStudioServer

from .conftest import Desk


@dataclass
class Room:
    """A project, and the people who label in it."""

    server: LabelStudioServer
    title: str
    annotators: list[int]

    @property
    def client(self) -> LabelStudio:
        return LabelStudio(base_url=self.server.url, api_key=self.server.token)

    @property
    def words(self) -> list[str]:
        return ["--label-studio", self.server.url, "--project", self.title]

    def number(self) -> int:
        (project,) = [each for each in self.client.projects.list(title=self.title) if each.title == self.title]
        return int(project.id)

    def tasks(self) -> dict[str, Any]:
        """Return the tasks by item."""
        return {task.data["item"]: task for task in self.client.tasks.list(project=self.number(), fields="all")}

    def label(self, answers: Mapping[int, Mapping[str, str]]) -> None:
        """Annotate: annotator -> item -> label."""
        tasks = self.tasks()
        for user, given in answers.items():
            for item, label in given.items():
                self.annotate(tasks[item].id, user, [label])

    def annotate(self, task: int, user: int, choices: Iterable[str], **more: Any) -> None:
        value = {"choices": list(choices)}
        result = [{"from_name": "label", "to_name": "example", "type": "choices", "value": value}]
        self.client.annotations.create(task, result=result, completed_by=user, **more)


def open_room(server: LabelStudioServer, desk: Desk, monkeypatch: pytest.MonkeyPatch, people: int) -> Room:
    """Return a project that does not exist yet, and annotators."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.token)
    name = secrets.token_hex(4)
    client = LabelStudio(base_url=server.url, api_key=server.token)
    users = [
        client.users.create(email=f"{name}-{index}@example.com", username=f"{name}{index}") for index in range(people)
    ]
    return Room(server, f"pets {name}", [int(user.id) for user in users if user.id is not None])
