"""Retries of a request after transient errors: overload, a server restart, a broken connection."""

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from fairlead.kube.errors import ApiError

_ATTEMPTS = 4
"""Not counting the first attempt, which runs without tenacity to save its overhead."""
_MAX_RETRY_AFTER = 15.0
"""Seconds. A longer Retry-After is cut to this, because the caller has its own backoff."""
_FIRST_WAIT = 0.1
_BACKOFF = wait_random_exponential(multiplier=0.1, max=2.0)


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may succeed."""
    if isinstance(error, ApiError):
        return error.transient
    # a timeout is not retried here: the request has already used its whole time
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError)


def first_wait(error: BaseException) -> float:
    """Return the seconds to wait after the first failure."""
    return _asked_for(error) or _FIRST_WAIT


def _wait(state: RetryCallState) -> float:
    asked = _asked_for(state.outcome.exception()) if state.outcome else None
    return asked or _BACKOFF(state)


def _asked_for(error: BaseException | None) -> float | None:
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, _MAX_RETRY_AFTER)
    return None


def retrying() -> AsyncRetrying:
    """Return a retryer for one request; it raises the last error."""
    return AsyncRetrying(
        retry=retry_if_exception(is_transient), wait=_wait, stop=stop_after_attempt(_ATTEMPTS), reraise=True
    )
