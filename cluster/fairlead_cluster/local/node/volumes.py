"""A pod's volumes as folders on disk: emptyDir, configMap, secret, downwardAPI and projected ones."""

from pathlib import Path
from typing import Any

from fairlead_cluster.local.node.environment import NotConfigured, Sources, field_value
from fairlead_cluster.local.node.objects import Object


def make_volumes(pod: Object, sources: Sources, folder: Path) -> dict[str, Path]:
    """Write every volume below `folder` and return the folder of each; raises NotConfigured.

    Contents are written when a pod starts and do not follow later changes of a ConfigMap or Secret.
    """
    volumes = {}
    for volume in pod["spec"].get("volumes") or []:
        path = folder / volume["name"]
        path.mkdir(parents=True, exist_ok=True)
        for name, (content, mode) in _files(pod, volume, sources).items():
            _write(path, name, content, mode)
        volumes[volume["name"]] = path
    return volumes


def referenced_objects(pod: Object) -> tuple[set[str], set[str]]:
    """Return the names of the ConfigMaps and of the Secrets that a pod's volumes and variables name."""
    config_maps: set[str] = set()
    secrets: set[str] = set()

    def look(value: Any, key: str = "") -> None:
        if isinstance(value, list):
            for item in value:
                look(item, key)
        elif isinstance(value, dict):
            if key in ("configMap", "configMapRef", "configMapKeyRef") and "name" in value:
                config_maps.add(value["name"])
            elif key in ("secret", "secretRef", "secretKeyRef"):
                secrets.add(value.get("secretName") or value.get("name") or "")
            for name, item in value.items():
                look(item, name)

    spec = pod["spec"]
    look(spec.get("volumes") or [])
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        look({key: container[key] for key in ("env", "envFrom") if key in container})
    return config_maps, secrets - {""}


def token_request(pod: Object) -> Object | None:
    """Return the serviceAccountToken source of a pod's projected volumes, if there is one."""
    for volume in pod["spec"].get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            if "serviceAccountToken" in source:
                return dict(source["serviceAccountToken"])
    return None


Files = dict[str, tuple[bytes, int]]


def _files(pod: Object, volume: Object, sources: Sources) -> Files:
    if "projected" in volume:
        mode = volume["projected"].get("defaultMode", 0o644)
        files: Files = {}
        for source in volume["projected"].get("sources") or []:
            files |= _source_files(pod, source, sources, mode)
        return files
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            body = dict(volume[kind])
            body.setdefault("name", body.get("secretName", ""))
            return _source_files(pod, {kind: body}, sources, body.get("defaultMode", 0o644))
    return {}


def _source_files(pod: Object, source: Object, sources: Sources, mode: int) -> Files:
    kind, body = next(iter(source.items()))
    if kind in ("configMap", "secret"):
        data = sources.data(kind.lower(), body["name"], bool(body.get("optional")))
        return _chosen(data, body, f"{kind.lower()} {body['name']!r}", mode)
    if kind == "downwardAPI":
        return {
            item["path"]: (_downward(pod, item).encode(), item.get("mode", mode)) for item in body.get("items") or []
        }
    if kind == "serviceAccountToken":
        if sources.token is None:
            raise NotConfigured("the service account's token does not exist yet")
        return {body["path"]: (sources.token.encode(), 0o600)}
    raise NotConfigured(f"projected volume: got {kind}, expected configMap, secret, downwardAPI or serviceAccountToken")


def _chosen(data: dict[str, bytes], body: Object, what: str, mode: int) -> Files:
    """Return all keys, or those that `items` selects, under the paths that it sets."""
    if "items" not in body:
        return {key: (value, mode) for key, value in data.items()}
    files: Files = {}
    for item in body["items"]:
        if item["key"] in data:
            files[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not body.get("optional"):
            raise NotConfigured(f"{what} has no key {item['key']!r}")
    return files


def _downward(pod: Object, item: Object) -> str:
    if "fieldRef" not in item:
        raise NotConfigured(f"downwardAPI {item['path']}: got resourceFieldRef, expected fieldRef on a process node")
    return field_value(pod, item["fieldRef"]["fieldPath"])


def _write(folder: Path, name: str, content: bytes, mode: int) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.chmod(mode | 0o600)
    fresh.replace(path)
