"""Code as an artifact: large folders, fetched and verified by an init container before the training starts."""

import hashlib
import os

from fairlead_artifacts import JsonValue, open_regular, publish

from fairlead_projects.code.files import CodeFiles

PRODUCER = "fairlead-train/0.1.0"
_RETRY_SECONDS = 10.0
"""Somebody waits at the terminal, and can try again."""
_CHUNK = 1 << 20


def publish_code(uri: str, files: CodeFiles) -> str:
    """Publish a folder's files and return the artifact's digest; raises ArtifactError."""
    parameters: dict[str, JsonValue] = {"revision": files.revision} if files.revision else {}
    manifest = publish(
        files.root, uri, kind="code", producer=PRODUCER, parameters=parameters, files=files.paths,
        retry_seconds=_RETRY_SECONDS,
    )  # fmt: skip
    return manifest.digest


def hash_files(files: CodeFiles) -> str:
    """Return a name for the content, so that each has a place of its own and running jobs keep their code."""
    digest = hashlib.sha256((files.revision or "").encode())
    for path in files.paths:
        with open_regular(files.root / path) as file:
            digest.update(f"\0{path}\0{os.fstat(file.fileno()).st_size}\0".encode())
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()[:16]
