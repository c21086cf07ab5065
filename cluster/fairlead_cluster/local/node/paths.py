"""Mount paths to folders on disk.

Processes share the machine's file system, so a path below a mountPath is rewritten wherever it can be seen from
outside: in command, args, workingDir and values of the environment. A path that a program holds in its own code, or
puts together from pieces, cannot be rewritten: pass paths in.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

_PLAIN = re.compile(r"[\w./@+=,:-]+")


def plain_path(folder: Path) -> Path:
    """Return a path of this folder that a shell does not split, through a link if the folder's own has such characters.

    Paths are rewritten inside of shell commands, too, where they cannot be quoted.
    """
    path = str(folder.absolute())
    if _PLAIN.fullmatch(path):
        return folder
    links = Path(tempfile.gettempdir()) / f"fairlead-paths-{os.getuid()}"
    links.mkdir(mode=0o700, exist_ok=True)
    if links.is_symlink() or links.stat().st_uid != os.getuid():
        raise OSError(f"{links}: got another user's folder, expected one of this user's")
    link = links / hashlib.sha256(path.encode()).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(path)
    return link


class Mounts:
    """Translates mount paths; the longest mount path that fits wins."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Store the folder (or file) on disk of each mount path."""
        self._folders = {path.rstrip("/"): folder for path, folder in folders.items()}
        longest_first = sorted(self._folders, key=len, reverse=True)
        alternatives = "|".join(re.escape(path) for path in longest_first)
        # a path starts where no path goes on (not in file:///data for /data), and ends at a slash or a word's end
        self._pattern = re.compile(rf"(?<![\w./-])({alternatives})(?![\w.-])") if alternatives else None

    def translate(self, text: str) -> str:
        """Return the text with every path below a mount path rewritten."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: str(self._folders[match[1]]), text)
