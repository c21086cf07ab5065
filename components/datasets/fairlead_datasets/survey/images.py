"""A folder of images with a subfolder for each class."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from fairlead_artifacts import open_regular

from ..errors import Unusable

MAX_CLASSES = 10_000
_STARTS: Mapping[str, tuple[bytes, ...]] = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".bmp": (b"BM",),
    ".webp": (b"RIFF",),
    ".tif": (b"II*\x00", b"MM\x00*"),
    ".tiff": (b"II*\x00", b"MM\x00*"),
}
"""The first bytes of an image, by its file's extension."""


def looks_like_images(paths: Iterable[str]) -> bool:
    """Return whether every file is an image in a subfolder, by its name."""
    return all("/" in path and Path(path).suffix.lower() in _STARTS for path in paths)


def describe_images(root: Path, paths: Iterable[str]) -> Mapping[str, int]:
    """Return the number of images of each class; raises Unusable for a file that is no image, or has no class."""
    counts: Counter[str] = Counter()
    for path in paths:
        name, slash, _ = path.partition("/")
        if not slash:
            raise Unusable(f"{root / path}: has no class, expected a subfolder for each class")
        _check_image(root / path)
        counts[name] += 1
    folders = (entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if empty := next((name for name in sorted(folders) if not counts[name]), None):
        raise Unusable(f"{root / empty}: has no images, expected at least one of each class")
    if len(counts) > MAX_CLASSES:
        raise Unusable(f"{root}: {len(counts):,} classes, expected at most {MAX_CLASSES:,}")
    return dict(sorted(counts.items()))


def _check_image(file: Path) -> None:
    starts = _STARTS.get(file.suffix.lower())
    if starts is None:
        raise Unusable(f"{file}: got the extension {file.suffix!r}, expected one of {', '.join(_STARTS)}")
    with open_regular(file) as opened:
        head = opened.read(16)
    if not head.startswith(starts):
        kind = file.suffix[1:].upper()
        raise Unusable(f"{file}: is no {kind} image: starts with {head[:8].hex(' ') or 'nothing'}")
