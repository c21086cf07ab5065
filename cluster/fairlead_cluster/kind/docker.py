"""Docker images labeled with a hash of their inputs, so that only changed ones are rebuilt."""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.base.steps import StepLog

KEY_LABEL = "fairlead.dev/key"
_PROBE_SECONDS = 15.0
_UNUSED = re.compile(r"(^|/)(__pycache__|[^/]+\.egg-info)/|(^|/)Dockerfile$")  # as in .dockerignore


@dataclass(frozen=True)
class Build:
    """One `docker build`."""

    tag: str
    key: str
    context: Path
    dockerfile: Path
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def current(self) -> bool:
        """Return True if the image exists and was built from the same content."""
        return image_key(self.tag) == self.key

    def run(self, log: StepLog) -> None:
        """Build it, with the host's network and trusted certificates, neither of which stays in the image."""
        words: list[str | Path] = ["docker", "build", "--network=host", "--progress=plain"]
        words += ["--tag", self.tag, "--label", f"{KEY_LABEL}={self.key}", "--file", self.dockerfile]
        words += ["--target", self.target] if self.target else []
        for name, value in {**self.arguments, **_pip_settings()}.items():
            words += ["--build-arg", f"{name}={value}"]
        if bundle := trusted_certificates():
            words += ["--secret", f"id=ca,src={bundle}"]
        log.run([*words, self.context])


def content_key(*parts: str | Path) -> str:
    """Hash texts and files; a folder counts with the names, modes and contents of all files in it."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode() + b"\0")
            continue
        for path in sorted(_files(part)):
            mode = path.stat().st_mode & 0o111
            digest.update(f"{path.relative_to(part)}\0{bool(mode)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def copied_sources(dockerfile: Path) -> list[Path]:
    """Return what a Dockerfile copies from the repository; raises SetupError where that is missing."""
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.MULTILINE)
    paths = [CHECKOUT / word for words in copies for word in words.split()]
    if missing := [path for path in paths if not path.exists()]:
        raise SetupError(f"{dockerfile}: copies {missing[0]}, which does not exist")
    return paths


def image_key(tag: str) -> str | None:
    """Return the key of an image that was built here, None if there is no such image."""
    return _inspect(tag, f'{{{{index .Config.Labels "{KEY_LABEL}"}}}}')


def image_id(tag: str) -> str | None:
    """Return an image's id, the digest of its configuration."""
    return _inspect(tag, "{{.Id}}")


def remove_replaced_images() -> None:
    """Delete images that later builds replaced; Docker's build cache keeps their layers."""
    words = ["docker", "image", "prune", "--force", "--filter", f"label={KEY_LABEL}"]
    subprocess.run(words, capture_output=True, check=True)


def registry_reachable() -> bool:
    """Return True if public images can be pulled."""
    try:
        found = subprocess.run(
            ["docker", "manifest", "inspect", "debian:bookworm-slim"], capture_output=True, timeout=_PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return found.returncode == 0


def trusted_certificates() -> str | None:
    """Return the bundle of certificates that this machine is configured to trust, if any."""
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return bundle if bundle and Path(bundle).exists() else None


def _pip_settings() -> dict[str, str]:
    settings = {name: os.environ[name] for name in ("PIP_INDEX_URL",) if name in os.environ}
    return settings | ({"PIP_CERT": "/run/secrets/ca"} if trusted_certificates() else {})


def _inspect(tag: str, template: str) -> str | None:
    found = subprocess.run(["docker", "image", "inspect", "--format", template, tag], capture_output=True, text=True)
    return (found.stdout.strip() or None) if found.returncode == 0 else None


def _files(part: Path) -> Iterable[Path]:
    if part.is_file():
        return [part]
    return (path for path in part.rglob("*") if path.is_file() and not _UNUSED.search(str(path.relative_to(part))))
