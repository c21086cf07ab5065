"""Errors of the SDK: each message is one line for a person, naming the resource and what the server answered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError, ResourceNotFoundError


class FairleadError(Exception):
    """Any failure of the SDK."""


class NotFound(FairleadError):
    """The object, or its kind, does not exist."""


class Conflict(FairleadError):
    """The object exists already, or another field manager owns a field."""


class Rejected(FairleadError):
    """The API server rejected the object: invalid, or against an admission policy."""


class Denied(FairleadError):
    """The user may not do this, or is not known."""


class Unreachable(FairleadError):
    """There is no cluster to connect to, or no answer from it; trying again may help."""


class ResourceFailed(FairleadError):
    """The resource reached a condition from which it will not recover."""


class WaitTimeout(FairleadError, TimeoutError):
    """The resource did not reach the condition in time."""


_BY_STATUS = {400: Rejected, 401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 422: Rejected, 429: Unreachable}

_UNKNOWN_FIELD = "failed to create typed patch object"
"""Server-side apply answers 500 for a field that the schema does not have."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise the SDK's errors in place of the Kubernetes client's; `what` names the object, such as `Pod digits`."""
    try:
        yield
    except ResourceNotFoundError as error:
        raise NotFound(f"{what}: the cluster does not know this kind ({error})") from None
    except (ApiException, DynamicApiError) as error:
        raise from_response(what, error.status or 0, error.body or error.reason or "") from None
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"{what}: no answer from the API server: {error}") from None


def from_response(what: str, status: int, body: str | bytes) -> FairleadError:
    """Return the error for an HTTP answer; the message of a Kubernetes `Status` stands for its whole body."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        text = str(json.loads(text)["message"])
    except (ValueError, TypeError, KeyError):
        text = text.strip()
    if status == 500 and text.startswith(_UNKNOWN_FIELD):
        return Rejected(f"{what}: {text}")
    known = _BY_STATUS.get(status, Unreachable if status == 0 or status >= 500 else FairleadError)
    return known(f"{what}: {status}: {text}")
