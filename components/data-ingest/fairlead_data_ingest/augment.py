"""Copies of the training split's examples that are changed a little."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from .recipe import Images

Pixels = NDArray[np.uint8]


def add_noise(table: pa.Table, names: Sequence[str], noise: float, copies: int, seed: int) -> pa.Table:
    """Return the table with copies of its rows, whose named columns of numbers differ by normal noise."""
    generator = np.random.default_rng(seed)
    parts = [table]
    for _ in range(copies):
        copy = table
        for name in names:
            values = np.asarray(table[name].to_numpy(), np.float64)  # nulls are NaN here
            changed = values + generator.normal(0, noise * float(np.nanstd(values)), len(values))
            array = pa.array(changed, table[name].type, mask=np.isnan(values))
            copy = copy.set_column(copy.column_names.index(name), name, array)
        parts.append(copy)
    return pa.concat_tables(parts).combine_chunks()


def change_image(image: Image.Image, limits: Images, generator: np.random.Generator) -> Image.Image:
    """Return a changed copy of an image of mode L or RGB; the edges fill what rotation and shift uncover."""
    if limits.flip and generator.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if limits.rotate or limits.shift:
        image = _move(image, limits, generator)
    if limits.brightness:
        image = ImageEnhance.Brightness(image).enhance(1 + generator.uniform(-1, 1) * limits.brightness)
    if limits.contrast:
        image = ImageEnhance.Contrast(image).enhance(1 + generator.uniform(-1, 1) * limits.contrast)
    if limits.noise:
        pixels = np.asarray(image, np.float64)
        pixels = pixels + generator.normal(0, limits.noise * 255, pixels.shape)
        image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), image.mode)
    return image


def _move(image: Image.Image, limits: Images, generator: np.random.Generator) -> Image.Image:
    angle = generator.uniform(-1, 1) * limits.rotate
    right, down = (generator.uniform(-1, 1, 2) * limits.shift * image.size).tolist()
    margins = (image.height, image.width)
    pixels = np.asarray(image)
    padded = np.pad(pixels, [(each, each) for each in margins] + [(0, 0)] * (pixels.ndim - 2), mode="edge")
    moved = Image.fromarray(padded).rotate(
        angle, Image.Resampling.BILINEAR, translate=(right, down), center=(1.5 * image.width, 1.5 * image.height)
    )
    left, top = image.width, image.height
    return moved.crop((left, top, left + image.width, top + image.height))
