"""Helpers shared by the builders of child objects."""

import json
from typing import Any

from fairlead.api.base import Resource
from fairlead.core import names

Object = dict[str, Any]


def build_owned(resource: Resource, api_version: str, kind: str, name: str, labels: dict[str, str]) -> Object:
    """Return the type and metadata of a child object that is deleted with its owner."""
    meta = resource.metadata
    owner = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name, "namespace": meta.namespace, "labels": labels, "ownerReferences": [owner],
        },
    }  # fmt: skip


def with_hash(obj: Object) -> Object:
    """Add an annotation with the hash of the object."""
    meta = obj["metadata"]
    annotations = meta.get("annotations", {}) | {names.APPLIED_HASH: hash_object(obj)}
    return obj | {"metadata": meta | {"annotations": annotations}}


def hash_object(obj: Object) -> str:
    """Return a short hash of an object; equal objects have equal hashes."""
    return names.short_hash(json.dumps(obj, sort_keys=True))
