"""Code as an artifact: large folders, fetched and verified by an init container before the training starts."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead_artifacts import JsonValue, open_regular, publish

from fairlead_projects.code.files import CodeFiles
from fairlead_projects.explaining import RETRY_SECONDS

PRODUCER = "fairlead-train/0.1.0"
_CHUNK = 1 << 20


def publish_code(uri: str, files: CodeFiles) -> str:
    """Publish a folder's files and return the artifact's digest; raises ArtifactError."""
    parameters: dict[str, JsonValue] = {"revision": files.revision} if files.revision else {}
    with _without_links(files) as root:
        manifest = publish(
            root, uri, kind="code", producer=PRODUCER, parameters=parameters, files=files.paths,
            retry_seconds=RETRY_SECONDS,
        )  # fmt: skip
    return manifest.digest


@contextmanager
def _without_links(files: CodeFiles) -> Iterator[Path]:
    """Yield the folder, or a copy with the files that its links point to: artifacts have no links."""
    if not any((files.root / path).is_symlink() for path in files.paths):
        yield files.root
        return
    with tempfile.TemporaryDirectory(prefix="fairlead-code-") as copy:
        for path in files.paths:
            target = Path(copy, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_regular(files.root / path) as source, target.open("xb") as written:
                shutil.copyfileobj(source, written)
        yield Path(copy)


def hash_files(files: CodeFiles) -> str:
    """Return a name for the content, so that each has a place of its own and running jobs keep their code."""
    digest = hashlib.sha256((files.revision or "").encode())
    for path in files.paths:
        with open_regular(files.root / path) as file:
            digest.update(f"\0{path}\0{os.fstat(file.fileno()).st_size}\0".encode())
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()[:16]
