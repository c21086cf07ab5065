"""Images, decoded within bounds."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
from fairlead_artifacts import open_regular
from PIL import Image, ImageOps, UnidentifiedImageError  # type: ignore[import-not-found, unused-ignore]

from .errors import Unusable

MAX_PIXELS = 64_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""Of Pillow's other formats, some start programs: EPS, whatever the file is called, starts Ghostscript."""
_LOST = "fairlead-lost"
"""The key of an image's info with a hash of what L and RGB cannot hold."""
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError, Warning)
"""What Pillow raises for files that are damaged, no images or too large."""


def open_picture(file: Path, name: str) -> Image.Image:
    """Decode an image as gray (L) or RGB, turned as its camera says; raise Unusable, naming it `name`.

    Of gray values of 16 bits the upper 8 are kept, and transparency is ignored; hash_pixels sees them all.
    """
    try:
        with warnings.catch_warnings(), open_regular(file) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(opened, formats=_FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise Unusable(f"{name}: has {image.width} x {image.height} pixels, expected at most {MAX_PIXELS:,}")
            return _reduce(ImageOps.exif_transpose(image), name)
    except _BROKEN as error:
        raise Unusable(f"{name}: does not decode: {type(error).__name__}: {str(error)[:200]}") from None


def hash_pixels(image: Image.Image) -> str:
    """Return a hash that is equal for images with equal pixels, whatever their files are."""
    lost = str(image.info.get(_LOST, ""))
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes() + lost.encode()).hexdigest()


def _reduce(image: Image.Image, name: str) -> Image.Image:
    """Return the image as L or RGB, with a hash of what that loses."""
    if image.mode in ("I", "F"):
        # Their range is not known, so any scale would be a guess.
        raise Unusable(f"{name}: has pixels of 32 bits (mode {image.mode}), expected 8 or 16 bits")
    if image.mode in ("1", "L", "RGB", "P") and not image.has_transparency_data:
        return image.convert("RGB" if image.mode in ("RGB", "P") else "L")
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)  # in this machine's order of bytes
        reduced, lost = Image.fromarray((values >> 8).astype(np.uint8)), values.astype("<u2").tobytes()
    elif image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        reduced, lost = image.convert("RGB"), b"" if alpha.getextrema() == (255, 255) else alpha.tobytes()
    else:
        reduced, lost = image.convert("RGB"), f"{image.mode} ".encode() + image.tobytes()
    if lost:
        reduced.info[_LOST] = hashlib.sha256(lost).hexdigest()
    return reduced
