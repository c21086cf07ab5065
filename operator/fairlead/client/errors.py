"""Errors of the SDK. Each message names the resource and has the server's message."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError, ResourceNotFoundError


class FairleadError(Exception):
    """The base class of all errors of the SDK."""


class NotFound(FairleadError):
    """The object or its kind does not exist."""


class Conflict(FairleadError):
    """The object already exists, or another field manager owns a field."""


class Rejected(FairleadError):
    """The API server rejected the object as invalid or by an admission policy."""


class Denied(FairleadError):
    """The user is not authenticated or does not have permission."""


class Unreachable(FairleadError):
    """No cluster is configured, or it does not respond; a retry may help."""


class ResourceFailed(FairleadError):
    """The resource reached a condition from which it will not recover."""


class WaitTimeout(FairleadError, TimeoutError):
    """The resource did not reach the condition in time."""


_BY_STATUS = {400: Rejected, 401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 422: Rejected, 429: Unreachable}

_UNKNOWN_FIELD = "failed to create typed patch object"
"""The message of the status 500 with which server-side apply rejects an unknown field."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate errors of the Kubernetes client to the SDK's; `what` names the object, such as `Pod digits`."""
    try:
        yield
    except ResourceNotFoundError as error:
        raise NotFound(f"{what}: the cluster does not know this kind ({error})") from None
    except (ApiException, DynamicApiError) as error:
        raise from_response(what, error.status or 0, error.body or error.reason or "") from None
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"{what}: no response from the API server: {error}") from None


def from_response(what: str, status: int, body: str | bytes) -> FairleadError:
    """Return the error for an HTTP response, with the message of its Kubernetes `Status` if it has one."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        text = str(json.loads(text)["message"])
    except (ValueError, TypeError, KeyError):
        text = text.strip()
    if status == 500 and text.startswith(_UNKNOWN_FIELD):
        return Rejected(f"{what}: {text}")
    known = _BY_STATUS.get(status, Unreachable if status == 0 or status >= 500 else FairleadError)
    return known(f"{what}: {status}: {text}")
