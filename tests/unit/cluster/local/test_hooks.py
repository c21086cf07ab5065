"""The preStop hook: why it failed, within the grace period."""

import asyncio
from typing import Any

import pytest
from fairlead_cluster.local.node.hooks import run_pre_stop


def container(hook: dict[str, Any] | None) -> dict[str, Any]:
    return {"name": "main", "lifecycle": {"preStop": hook} if hook else {}}


async def execute(argv: list[str], seconds: float) -> int:
    assert seconds == 0.2
    if argv == ["hang"]:
        await asyncio.sleep(60)
    return int(argv[0])


@pytest.mark.parametrize(
    ("hook", "failure"),
    [
        (None, None),
        ({"exec": {"command": ["0"]}}, None),
        ({"exec": {"command": ["3"]}}, "command exited 3"),
        ({"exec": {"command": ["hang"]}}, "not completed within the grace period of 0.2 s"),
        ({"sleep": {"seconds": 60}}, "not completed within the grace period of 0.2 s"),
        ({"sleep": {"seconds": 0}}, None),
        ({"tcpSocket": {"port": 80}}, None),  # accepted by the API and without effect, as for a kubelet
    ],
)
async def test_the_failure_is_returned(hook: dict[str, Any] | None, failure: str | None) -> None:
    assert await run_pre_stop(container(hook), "127.0.0.1", execute, 0.2) == failure


async def test_a_get_that_is_refused_is_a_failure() -> None:
    hook = {"httpGet": {"port": 1, "path": "/drain"}}
    failure = await run_pre_stop(container(hook), "127.0.0.1", execute, 5)
    assert failure is not None
    assert failure.startswith("GET http://127.0.0.1:1/drain: ")


async def test_a_pod_that_is_deleted_at_once_has_no_time_for_its_hook() -> None:
    assert await run_pre_stop(container({"exec": {"command": ["3"]}}), "127.0.0.1", execute, 0) is None
