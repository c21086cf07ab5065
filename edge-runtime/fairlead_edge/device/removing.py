"""Remove what a device does not need any more."""

import shutil

from .folder import INSTALLATION, Damaged, Folder


def remove_unused(folder: Folder) -> None:
    """Remove the releases that are in no slot and not offered, unless an installation goes on; raise OSError."""
    lock = folder.lock(INSTALLATION)
    if lock is None:
        return
    try:
        remove_unlocked(folder)
    finally:
        lock.close()


def remove_unlocked(folder: Folder) -> None:
    """Remove them in the process that has the lock of installations.

    The server may confirm or reject at the same time, after which it needs no more than before.
    """
    try:
        slots, offer = folder.read_slots(), folder.read_offer()
    except Damaged:
        return
    if slots is None or slots.good is None:
        return  # whatever is there may be needed
    pending = {offer.release.digest} if offer and offer.sequence > slots.handled else set()
    folder.remove_others(slots.kept | pending)
    for unfinished in (folder.incoming, folder.unpacked):
        shutil.rmtree(unfinished, ignore_errors=True)
