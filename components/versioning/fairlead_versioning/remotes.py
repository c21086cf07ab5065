"""Fetches objects from a remote with DVC, in a repository of our own that has only this remote."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from .dvc_command import DvcFailed
from .dvc_files import Out
from .errors import RemoteUnavailable, Unusable
from .objects import Find, in_cache
from .own_repository import OwnRepository

_MISSING = re.compile(r"ERROR: failed to transfer '[0-9a-f]{32}(\.dir)?' - \[Errno 2\] No such file or directory: .*")
_SUMMARY = re.compile(r"ERROR: failed to fetch data from the cloud - \d+ files? failed to download")


def fetch_objects(url: str, outs: Iterable[Out], folder: Path) -> Find:
    """Fetch outs with one start of DVC, into an empty folder of ours, and return how their objects are found.

    What the remote does not have is missing afterwards; raises RemoteUnavailable for all other reasons.
    """
    if not Path(url).is_dir() and "://" not in url:
        raise Unusable(f"{url}: no such folder, expected a remote of DVC")
    ours = OwnRepository(folder, folder / ".dvc" / "cache", url)
    # paths of our own: DVC is to see nothing of the repository's
    entries = [{"md5": out.md5, "hash": "md5", "path": f"out-{number}"} for number, out in enumerate(outs)]
    (folder / "all.dvc").write_text(json.dumps({"outs": entries}))  # JSON is YAML
    try:
        reason = ours.run("fetch", "all.dvc")
    except DvcFailed as error:
        if not lacks_objects(error.errors):
            raise RemoteUnavailable(f"{url}: {error}") from None
        reason = str(error)
    if reason:
        # DVC names the objects that are missing, and the importer which files these are
        sys.stderr.write(f"fairlead-versioning: {url}: {reason}\n")
    return in_cache(ours.cache)


def lacks_objects(errors: Iterable[str]) -> bool:
    """Return True if all of DVC's errors are objects that a remote does not have."""
    reasons = [line for line in errors if not _SUMMARY.fullmatch(line)]
    return bool(reasons) and all(_MISSING.fullmatch(line) and "/files/md5/" in line for line in reasons)
