"""Events, as shown by `kubectl describe`."""

import hashlib
import logging
from datetime import UTC, datetime

from fairlead.api.base import Resource
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import shorten
from fairlead.core.plan import Event
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import EVENT, Kind

_log = logging.getLogger(__name__)
_MAX_MESSAGE_BYTES = 1000  # the API server's limit is 1,024


async def send_event(kube: KubeClient, resource: Resource, kind: Kind, event: Event) -> None:
    """Create an event, unless it was sent before; one that is rejected is logged and changes nothing else."""
    try:
        await kube.create(EVENT, _build_event(resource, kind, event), resource.metadata.namespace)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            return
        if not error.rejected and error.code != 404:  # 404: the namespace is gone
            raise
        _log.warning("event %s of %s %s: %s", event.reason, kind.kind, resource.metadata.name, error)


def _build_event(resource: Resource, kind: Kind, event: Event) -> Object:
    """Build an event whose name depends on its content, so that it is created only once."""
    meta = resource.metadata
    text = f"{meta.uid}/{meta.generation}/{event.occasion}/{event.reason}/{event.message}"
    return {
        "metadata": {
            "name": f"{meta.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}",
            "namespace": meta.namespace,
        },
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": "fairlead.dev/operator",
        "reportingInstance": names.OPERATOR,
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": shorten(event.message, _MAX_MESSAGE_BYTES),
        "regarding": {
            "apiVersion": kind.api_version, "kind": kind.kind, "name": meta.name, "namespace": meta.namespace,
            "uid": meta.uid,
        },
    }  # fmt: skip
