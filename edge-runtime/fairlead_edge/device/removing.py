"""Remove what a device does not need any more."""

import shutil

from .folder import INSTALLATION, Damaged, Folder
from .slots import Slots


def remove_unused(folder: Folder, slots: Slots) -> None:
    """Remove the releases that are in no slot and not offered; nothing happens during an installation."""
    lock = folder.lock(INSTALLATION)
    if lock is None:
        return
    try:
        offer = folder.read_offer()
        pending = {offer.release.digest} if offer and offer.sequence > slots.handled else set()
        folder.remove_others(slots.kept | pending)
        for unfinished in (folder.incoming, folder.unpacked):
            shutil.rmtree(unfinished, ignore_errors=True)
    except Damaged:
        return
    finally:
        lock.close()
