"""The memory that model processes divide: the container's limit, or what the user sets."""

from typing import Any

import pytest
from fairlead.core.model_deployment.memory import build_memory_variable, check_memory

from tests.support.resources import make_deployment

VARIABLE = "FAIRLEAD_MEMORY_BYTES"


def limited(memory: object, **server: Any) -> dict[str, Any]:
    return {"processes": 4, "resources": {"limits": {"memory": memory}}, **server}


def with_value(value: str) -> dict[str, Any]:
    return {"env": [{"name": VARIABLE, "value": value}]}


SECRET = {"env": [{"name": VARIABLE, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}
TOO_LITTLE = "server.processes: got 4 with 1024Mi of memory, expected at most 3, or at least 1280Mi"


@pytest.mark.parametrize(
    ("server", "value", "problem"),
    [
        ({"processes": 4}, None, None),
        (limited("4Gi"), 4 << 30, None),
        (limited("4G"), 4 * 10**9, None),
        (limited(4 << 30), 4 << 30, None),
        (limited("1.5Gi"), 3 << 29, None),
        (limited("1e9"), None, None),  # the server's default counts
        (limited("1Gi"), 1 << 30, TOO_LITTLE),
        (limited("4Gi", **with_value(str(1 << 30))), None, TOO_LITTLE),
        (limited("1Gi", **with_value(str(4 << 30))), None, None),
        (limited("1Gi", **with_value("much")), None, None),  # the server reports it
        (limited("1Gi", **SECRET), None, None),
        ({**limited("1Gi"), "processes": 1}, None, None),
    ],
)
def test_processes_divide_the_limit_unless_the_user_sets_the_memory(
    server: dict[str, Any], value: int | None, problem: str | None
) -> None:
    predictor = make_deployment(spec__predictors__0__server=server).spec.predictors[0]
    assert predictor.server is not None
    variables = build_memory_variable(predictor.server, predictor.server.processes or 1)
    assert [int(each["value"]) for each in variables if each["name"] == VARIABLE] == ([value] if value else [])
    assert str(check_memory(predictor, "server")).startswith(str(problem))
