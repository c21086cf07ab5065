"""Which pods belong to a resource."""

from typing import cast

import pytest
from fairlead.client.objects import Object, Objects
from fairlead.client.pods import list_pods


class Api:
    """Lists jobs, and remembers by which labels pods were asked for."""

    def __init__(self, **phases: str) -> None:
        self._phases = phases
        self.asked: list[str] = []

    def list(self, kind: str, labels: str) -> list[Object]:
        if kind == "TrainingJob":
            assert labels == "fairlead.dev/sweep=digits"
            return [{"metadata": {"name": name}, "status": {"phase": phase}} for name, phase in self._phases.items()]
        self.asked.append(labels)
        return []


@pytest.mark.parametrize(
    ("phases", "asked"),
    [
        ({"a": "Running", "b": "Succeeded", "c": "Running", "d": "Suspended"}, ["fairlead.dev/job in (a,c)"]),
        ({"b": "Succeeded"}, []),
    ],
)
def test_the_pods_of_a_sweep_are_those_of_its_running_trials(phases: dict[str, str], asked: list[str]) -> None:
    api = Api(**phases)
    list_pods(cast(Objects, api), "sw", "digits")
    assert api.asked == asked
