"""A repository of DVC of our own: it has one cache and at most one remote, and nothing of another's configuration."""

import os
from pathlib import Path

from .dvc_command import DvcFailed, run_dvc
from .errors import Unusable


class OwnRepository:
    """A repository in a folder of ours; `run` runs DVC's command in it."""

    def __init__(self, folder: Path, cache: Path, url: str | None) -> None:
        """Make the repository; raise Unusable."""
        self.folder, self.cache = folder, cache
        names = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
        self._variables = {name: str(folder / ".dvc" / "tmp" / name.lower()) for name in names}
        remote = [] if url is None else _describe_remote(url)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.run("init", "--no-scm")
        except DvcFailed as error:
            raise Unusable(str(error)) from None
        # relative: the folders above may have names that mean more in a configuration
        near = os.path.relpath(cache, folder / ".dvc")
        lines = ["[core]", "no_scm = true", "analytics = false", "check_update = false", *remote]
        (folder / ".dvc" / "config").write_text("\n".join([*lines, "[cache]", f"dir = {near}"]) + "\n")

    def run(self, *words: str) -> str:
        """Run `dvc` and return its warnings; raise DvcFailed."""
        return run_dvc(self.folder, *words, variables=self._variables)


def _describe_remote(url: str) -> list[str]:
    # it is written into a configuration, where these would mean more than themselves
    if not url.isprintable() or set(url) & set(",#;\"'%"):
        raise Unusable(f"{url!r}: expected a remote without quotes, commas, #, ; and %")
    lines = ["remote = source", "['remote \"source\"']", f"url = {url}"]
    if url.startswith("s3://"):
        # where credentials are sent is the environment's to say, and never a repository's
        named = {"endpointurl": os.environ.get("AWS_ENDPOINT_URL"), "region": os.environ.get("AWS_REGION")}
        lines += [f"{key} = {value}" for key, value in named.items() if value and value.isprintable()]
    return lines
