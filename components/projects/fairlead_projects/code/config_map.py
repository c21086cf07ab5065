"""Code as a ConfigMap: small folders, mounted read-only."""

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import Any

from fairlead.cli.console import CommandError
from fairlead_artifacts import open_regular

from fairlead_projects.code.files import CodeFiles

Object = dict[str, Any]
MAX_BYTES = 900 << 10
"""Less than the 1 MiB that Kubernetes allows, for what else is in the object."""
MAX_FILES = 1000
"""The job and each of its pods list them."""
_MAX_KEY = 253
_EXECUTABLE, _PLAIN = 0o555, 0o444


def check_size(files: CodeFiles) -> None:
    """Raise CommandError for files that do not fit into a ConfigMap and the volume that lists them."""
    needed = files.size + sum(len(path.encode()) for path in files.paths)
    if needed <= MAX_BYTES and len(files.paths) <= MAX_FILES:
        return
    count, expected = len(files.paths), f"expected at most {MAX_BYTES:,} in {MAX_FILES:,} files for a ConfigMap"
    raise CommandError(
        f"{files.root}: {needed:,} bytes in {count:,} files with their names, {expected}. "
        "Name in .gitignore what the job does not need, publish data with `fairlead dataset publish`, or keep the "
        "code in a store with --code-uri s3://bucket/path"
    )


def build_config_map(job: str, files: CodeFiles) -> tuple[Object, Object]:
    """Return the ConfigMap and the volume that mounts it as the folder; raises CommandError if it cannot be read.

    Its name has the content's hash, so that a job that runs keeps its code when the folder changes.
    """
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    items, digest, used = [], hashlib.sha256(), set[str]()
    for path in files.paths:
        content = _read(files.root / path)
        key = _choose_key(path, used)
        used.add(key)
        mode = _EXECUTABLE if os.access(files.root / path, os.X_OK) else _PLAIN
        items.append({"key": key, "path": path, "mode": mode})
        digest.update(f"{path}\0{mode}\0{len(content)}\0".encode() + content)
        try:
            data[key] = content.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(content).decode()
    name = f"{job}-code-{digest.hexdigest()[:8]}"
    config_map: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "immutable": True}
    config_map |= ({"data": data} if data else {}) | ({"binaryData": binary} if binary else {})
    return config_map, {"name": "code", "configMap": {"name": name, "items": items}}


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise CommandError(f"{path}: has grown to more than {MAX_BYTES:,} bytes while it was read")
    return content


def _choose_key(path: str, used: set[str]) -> str:
    """Return a key for a path: keys have no slashes, and two paths must not share one."""
    key = re.sub(r"[^-._a-zA-Z0-9]", "_", path.replace("/", "__"))
    if key in used or len(key) > _MAX_KEY:
        key = f"{key[-200:]}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
    return key
