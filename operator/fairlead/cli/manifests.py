"""Kubernetes objects in YAML files."""

from pathlib import Path
from typing import Any

import yaml

from fairlead.cli.console import CommandError

Object = dict[str, Any]


def read_manifests(path: Path) -> list[Object]:
    """Return the objects in a YAML file or in a folder's YAML files; raises CommandError."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    objects = []
    for file in files:
        try:
            documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
        except (OSError, yaml.YAMLError) as error:
            raise CommandError(f"{file}: {error}") from None
        for document in documents:
            if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= document.keys():
                raise CommandError(f"{file}: expected Kubernetes objects with apiVersion, kind and metadata")
            objects.append(document)
    if not objects:
        raise CommandError(f"{path}: no Kubernetes objects found")
    return objects
