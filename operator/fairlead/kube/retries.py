"""Retries of one request: overload, a server that restarts, a connection that breaks."""

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from fairlead.kube.errors import ApiError

_ATTEMPTS = 4
"""After the first one, which is made outside: a request that just works does not pay for the machinery."""
_LONGEST_RETRY_AFTER = 15.0
"""Seconds. A server that asks for more is asked again after this time: the caller has a backoff of its own."""
_FIRST_WAIT = 0.1
_BACKOFF = wait_random_exponential(multiplier=0.1, max=2.0)


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed a moment later."""
    if isinstance(error, ApiError):
        return error.transient
    # a timeout is not retried here: the request has had its whole time already
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError)


def first_wait(error: BaseException) -> float:
    """Return how many seconds to wait after the first failure."""
    return _asked_for(error) or _FIRST_WAIT


def _wait(state: RetryCallState) -> float:
    asked = _asked_for(state.outcome.exception()) if state.outcome else None
    return asked or _BACKOFF(state)


def _asked_for(error: BaseException | None) -> float | None:
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_RETRY_AFTER)
    return None


def retrying() -> AsyncRetrying:
    """Return a retryer for one request; what fails at last is raised as it is."""
    return AsyncRetrying(
        retry=retry_if_exception(is_transient), wait=_wait, stop=stop_after_attempt(_ATTEMPTS), reraise=True
    )
