"""Fetches objects from a remote with DVC, in a repository of our own that has only this remote."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from .dvc_command import DvcFailed, run_dvc
from .dvc_files import Out
from .errors import RemoteUnavailable, Unusable
from .objects import Find, in_cache

_MISSING = ("missing", "does not exist", "NoSuchKey", "No such file or directory")


class Remote:
    """A remote and what has been fetched from it; the folder is ours, and empty."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self._variables = {
            name: str(folder / name.lower()) for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
        }

    def fetch(self, outs: Sequence[Out]) -> Find:
        """Fetch outs and return how their objects are found; raise RemoteUnavailable.

        What the remote does not have is missing afterwards.
        """
        self._prepare()
        # paths of our own: DVC is to see nothing of the repository's
        entries = [
            {"md5": out.md5, "hash": "md5", "path": f"out-{number}"} for number, out in enumerate(outs)
        ]  # fmt: skip
        (self._folder / "all.dvc").write_text(json.dumps({"outs": entries}))  # JSON is YAML
        try:
            run_dvc(self._folder, "fetch", "all.dvc", variables=self._variables)
        except DvcFailed as error:
            # it names the objects that it lacks, and the importer which files these are
            text = str(error).replace(self._url, "").lower()
            if not any(word.lower() in text for word in _MISSING):
                raise RemoteUnavailable(f"{self._url}: {error}") from None
        return in_cache(self._folder / ".dvc" / "cache")

    def _prepare(self) -> None:
        # it is written into a configuration, where these would mean more than themselves
        if not self._url.isprintable() or set(self._url) & set(",#;\"'%"):
            raise Unusable(f"{self._url!r}: expected a remote without quotes, commas, #, ; and %")
        if not Path(self._url).is_dir() and "://" not in self._url:
            raise Unusable(f"{self._url}: no such folder, expected a remote of DVC")
        if (self._folder / ".dvc").exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            run_dvc(self._folder, "init", "--quiet", "--no-scm", variables=self._variables)
        except DvcFailed as error:
            raise Unusable(str(error)) from None
        lines = ["[core]", "no_scm = true", "remote = source", "analytics = false", "check_update = false"]
        lines += ["['remote \"source\"']", f"url = {self._url}"]
        if self._url.startswith("s3://"):
            # where credentials are sent is the environment's to say, and never a repository's
            lines += _read_s3()
        (self._folder / ".dvc" / "config").write_text("\n".join(lines) + "\n")


def _read_s3() -> list[str]:
    named = {"endpointurl": os.environ.get("AWS_ENDPOINT_URL"), "region": os.environ.get("AWS_REGION")}
    return [f"{key} = {value}" for key, value in named.items() if value and value.isprintable()]
