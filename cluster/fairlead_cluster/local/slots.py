"""The slots of a machine's local clusters, each a pair of 127.x ranges: noted in files that all users can see.

A note is a claim on good faith, not a lock: it keeps two clusters of one machine from using one range by accident.
"""

import contextlib
import json
import os
import tempfile
import zlib
from pathlib import Path

from fairlead_cluster.base.daemons import ProcessId
from fairlead_cluster.base.errors import ClusterError

SLOTS = 32


def claim_slot(folder: Path, notes: Path | None = None) -> int:
    """Return a slot that no other running or stopped cluster of this machine uses, and note that `folder` does."""
    notes = notes or Path(tempfile.gettempdir())
    own = str(folder.absolute())
    first = zlib.crc32(own.encode()) % SLOTS
    order = [(first + offset) % SLOTS for offset in range(SLOTS)]
    # A stopped cluster returns to its slot: its slot is taken only if there is no other.
    for may_take in (_is_free, _is_idle):
        for slot in order:
            note = notes / f"fairlead-slot-{slot}"
            if may_take(note, own) and _write(note, own):
                return slot
    raise ClusterError(f"{SLOTS} local clusters run on this machine, as many as there are address ranges: stop one")


def check_slot(slot: int, folder: Path, notes: Path | None = None) -> None:
    """Note again that a stopped cluster uses its slot; raise ClusterError if a running one does."""
    note, own = (notes or Path(tempfile.gettempdir())) / f"fairlead-slot-{slot}", str(folder.absolute())
    if not _is_idle(note, own) or not _write(note, own):
        raise ClusterError(
            f"the cluster in {_read(note)} uses the address range of this one (slot {slot}, noted in {note}): "
            "stop that cluster, or delete this one with `fairlead down --purge`"
        )


def _is_free(note: Path, own: str) -> bool:
    """Return whether the cluster that is noted is this one, or has been deleted."""
    other = _read(note)
    return other in (None, own) or not _exists(Path(str(other), "settings.json"))


def _is_idle(note: Path, own: str) -> bool:
    """Return whether the cluster that is noted does not run."""
    return _is_free(note, own) or not _runs(Path(str(_read(note))))


def _runs(folder: Path) -> bool:
    try:
        return ProcessId(**json.loads((folder / "processes" / "kube-apiserver.json").read_text())).alive
    except PermissionError:
        return True  # another user's
    except (OSError, ValueError, TypeError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # another user's


def _read(note: Path) -> str | None:
    try:
        return note.read_text() or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return str(note)


def _write(note: Path, text: str) -> bool:
    """Replace the note; return False if it is another user's."""
    fresh = note.with_name(f".{note.name}-{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(text)
        fresh.replace(note)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        return False
    return True
