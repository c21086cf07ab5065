"""A container's environment variables, from values, fields, ConfigMaps and Secrets. Pure."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead_cluster.local.node.objects import Object


class NotConfigured(Exception):
    """A container cannot be created yet, or not as declared; the text becomes its waiting message."""


@dataclass(frozen=True)
class Sources:
    """The ConfigMaps and Secrets that a pod names, as far as they exist."""

    config_maps: Mapping[str, Object] = field(default_factory=dict)
    secrets: Mapping[str, Object] = field(default_factory=dict)
    token: str | None = None
    """The service account's token, if a volume uses it."""

    def data(self, kind: str, name: str, optional: bool) -> dict[str, bytes]:
        """Return every key of a ConfigMap or Secret; raises NotConfigured when it is missing and not optional."""
        found = (self.config_maps if kind == "configmap" else self.secrets).get(name)
        if found is None:
            if optional:
                return {}
            raise NotConfigured(f"{kind} {name!r} not found")
        if kind == "secret":
            return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
        texts = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return texts | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def build_environment(pod: Object, container: Object, sources: Sources, base: Mapping[str, str]) -> dict[str, str]:
    """Return the container's variables on top of `base`, in the order and with the references of Kubernetes."""
    env = dict(base)
    for item in container.get("envFrom") or []:
        env.update(_env_from(item, sources))
    for item in container.get("env") or []:
        value = _value(pod, container, item, sources, env)
        if value is not None:
            env[item["name"]] = value
    return env


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) where NAME is known; $$ becomes $."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def field_value(pod: Object, path: str) -> str:
    """Return what a fieldRef or a downwardAPI item names; raises NotConfigured for what this node does not offer."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        items = sorted((meta.get(path.partition(".")[2]) or {}).items())
        return "\n".join(f'{key}="{_escape(value)}"' for key, value in items)
    fields = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": "127.0.0.1",
        "status.hostIPs": "127.0.0.1",
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
    }
    if path not in fields:
        raise NotConfigured(f"fieldRef {path!r}: expected one of {sorted(fields)}")
    return str(fields[path])


def _env_from(item: Object, sources: Sources) -> dict[str, str]:
    prefix = item.get("prefix", "")
    for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
        if reference := item.get(key):
            data = sources.data(kind, reference["name"], bool(reference.get("optional")))
            return {prefix + name: value.decode() for name, value in data.items()}
    return {}


def _value(pod: Object, container: Object, item: Object, sources: Sources, env: Mapping[str, str]) -> str | None:
    """Return one variable's value; None leaves it out (an optional key that does not exist)."""
    origin = item.get("valueFrom")
    if not origin:
        return expand(item.get("value", ""), env)
    if reference := origin.get("fieldRef"):
        return field_value(pod, reference["fieldPath"])
    for key, kind in (("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")):
        if reference := origin.get(key):
            optional = bool(reference.get("optional"))
            data = sources.data(kind, reference["name"], optional)
            if reference["key"] in data:
                return data[reference["key"]].decode()
            if optional:
                return None
            raise NotConfigured(f"couldn't find key {reference['key']} in {kind} {reference['name']!r}")
    raise NotConfigured(
        f"container {container['name']}: env {item['name']}: got valueFrom.{next(iter(origin))}, "
        "expected fieldRef, configMapKeyRef or secretKeyRef on a process node"
    )


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
