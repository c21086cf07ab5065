"""Retries of one request: overload, a server that restarts, a connection that breaks."""

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from fairlead.kube.errors import ApiError

ATTEMPTS = 5
_LONGEST_RETRY_AFTER = 15.0
"""Seconds. A server that asks for more is asked again after this time: the caller has a backoff of its own."""
_BACKOFF = wait_random_exponential(multiplier=0.1, max=2.0)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, ApiError):
        return error.transient
    # a timeout is not retried here: the request has had its whole time already
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_RETRY_AFTER)
    return _BACKOFF(state)


def retrying() -> AsyncRetrying:
    """Return a retryer for one request; what fails at last is raised as it is."""
    return AsyncRetrying(
        retry=retry_if_exception(_is_transient), wait=_wait, stop=stop_after_attempt(ATTEMPTS), reraise=True
    )
