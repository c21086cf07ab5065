"""Images, decoded within bounds."""

import hashlib
import warnings
from pathlib import Path

from fairlead_artifacts import open_regular
from PIL import Image, ImageOps, UnidentifiedImageError  # type: ignore[import-not-found, unused-ignore]

from .errors import Unusable

MAX_PIXELS = 64_000_000
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError, Warning)
"""What Pillow raises for files that are damaged, no images or too large."""


def open_picture(file: Path, name: str) -> Image.Image:
    """Decode an image as gray (L) or RGB, turned as its camera says; raise Unusable, naming it `name`."""
    try:
        with warnings.catch_warnings(), open_regular(file) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(opened)
            if image.width * image.height > MAX_PIXELS:
                raise Unusable(f"{name}: has {image.width} x {image.height} pixels, expected at most {MAX_PIXELS:,}")
            turned = ImageOps.exif_transpose(image)
            return turned.convert("L" if turned.mode in ("1", "L", "I;16") else "RGB")
    except _BROKEN as error:
        raise Unusable(f"{name}: does not decode: {type(error).__name__}: {str(error)[:200]}") from None


def hash_pixels(image: Image.Image) -> str:
    """Return a hash that is equal for images with equal pixels, whatever their files are."""
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()
