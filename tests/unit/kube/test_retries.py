"""Retries of a request after transient errors."""

import time

import pytest
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import POD

from tests.support.scripted_api import DROP, ScriptedApi, make_pod, scripted_client, status

DONE = make_pod("a", 1)


@pytest.mark.parametrize(
    "failure", [status(503, "ServiceUnavailable"), status(500, "InternalError"), DROP], ids=["503", "500", "reset"]
)
async def test_a_transient_failure_is_retried(failure: object) -> None:
    api = ScriptedApi(writes=[failure, failure, DONE])  # type: ignore[list-item]
    async with scripted_client(api) as kube:
        assert await kube.create(POD, DONE) == DONE
    assert len(api.requests) == 3


async def test_retry_after_is_respected() -> None:
    api = ScriptedApi(writes=[status(429, "TooManyRequests", Retry_After="1"), DONE])
    async with scripted_client(api) as kube:
        start = time.monotonic()
        await kube.create(POD, DONE)
        assert time.monotonic() - start >= 1.0


async def test_a_permanent_failure_is_raised_after_a_few_attempts() -> None:
    api = ScriptedApi(writes=[status(503, "ServiceUnavailable")])
    async with scripted_client(api) as kube:
        with pytest.raises(ApiError, match="503"):
            await kube.create(POD, DONE)
    assert len(api.requests) == 5


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422])
async def test_a_rejection_is_not_retried(code: int) -> None:
    api = ScriptedApi(writes=[status(code, "Whatever")])
    async with scripted_client(api) as kube:
        with pytest.raises(ApiError):
            await kube.create(POD, DONE)
    assert len(api.requests) == 1
