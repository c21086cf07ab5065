"""One request is retried while the server is overloaded or restarts, and no longer."""

import time

import pytest
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import POD

from tests.support.scripted_api import DROP, ScriptedApi, make_pod, scripted_client, status

DONE = make_pod("a", 1)


@pytest.mark.parametrize(
    "failure", [status(503, "ServiceUnavailable"), status(500, "InternalError"), DROP], ids=["503", "500", "reset"]
)
async def test_a_passing_failure_is_retried(failure: object) -> None:
    api = ScriptedApi(writes=[failure, failure, DONE])  # type: ignore[list-item]
    async with scripted_client(api) as kube:
        assert await kube.create(POD, DONE) == DONE
    assert len(api.requests) == 3


async def test_the_server_is_given_the_time_that_it_asks_for() -> None:
    api = ScriptedApi(writes=[status(429, "TooManyRequests", Retry_After="1"), DONE])
    async with scripted_client(api) as kube:
        start = time.monotonic()
        await kube.create(POD, DONE)
        assert time.monotonic() - start >= 1.0


async def test_a_lasting_failure_is_raised_after_a_few_tries() -> None:
    api = ScriptedApi(writes=[status(503, "ServiceUnavailable")])
    async with scripted_client(api) as kube:
        with pytest.raises(ApiError, match="503"):
            await kube.create(POD, DONE)
    assert len(api.requests) == 5


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422])
async def test_an_answer_is_no_failure(code: int) -> None:
    api = ScriptedApi(writes=[status(code, "Whatever")])
    async with scripted_client(api) as kube:
        with pytest.raises(ApiError):
            await kube.create(POD, DONE)
    assert len(api.requests) == 1
