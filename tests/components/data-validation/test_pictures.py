"""Images as they are decoded for validation and for splits: equal only if all their pixels are."""

from pathlib import Path

import numpy as np
import pytest
from fairlead_datasets.errors import Unusable
from fairlead_datasets.pictures import hash_pixels, open_picture
from PIL import Image


def save(folder: Path, image: Image.Image, kind: str = "png") -> Image.Image:
    """Write the image, and return it as it is decoded."""
    file = folder / f"image.{kind}"
    image.save(file)
    return open_picture(file, file.name)


def test_gray_values_of_16_bits_are_scaled_and_differ_in_their_last_bit(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 4096], [32768, 40000, 65280, 65535]], np.uint16)
    for kind in ("png", "tiff"):
        first, second = save(tmp_path, Image.fromarray(values), kind), save(tmp_path, Image.fromarray(values ^ 1), kind)
        assert first.mode == "L"
        assert np.asarray(first).tolist() == [[0, 0, 1, 16], [128, 156, 255, 255]]
        assert np.array_equal(first, second)
        assert hash_pixels(first) != hash_pixels(second)


def test_both_orders_of_bytes_are_one_image(tmp_path: Path) -> None:
    little = Image.fromarray(np.array([[1, 256], [999, 65535]], np.uint16))
    big = Image.frombytes("I;16B", (2, 2), np.asarray(little).astype(">u2").tobytes())
    assert hash_pixels(save(tmp_path, little, "tiff")) == hash_pixels(save(tmp_path, big, "tiff"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_images_that_differ_in_transparency_alone_are_not_equal(tmp_path: Path, mode: str) -> None:
    whole = Image.new("RGBA", (4, 3), (10, 20, 30, 255))
    seen = []
    for alpha in (255, 200, 0):
        image = whole.copy()
        image.putpixel((1, 1), (10, 20, 30, alpha))
        if mode == "P":
            image = image.convert("RGB").quantize(4)
            options = {} if alpha == 255 else {"transparency": bytes([alpha])}
            image.save(tmp_path / "image.png", **options)
            seen.append(open_picture(tmp_path / "image.png", "image.png"))
        else:
            seen.append(save(tmp_path, image.convert(mode)))
    assert len({hash_pixels(image) for image in seen}) == 3
    assert {image.mode for image in seen} == {"RGB"}


def test_an_image_without_losses_has_the_hash_of_its_pixels(tmp_path: Path) -> None:
    """The splits of datasets follow from this hash, so it does not change."""
    gray, rgb = Image.new("L", (2, 1), 7), Image.new("RGB", (2, 1), (1, 2, 3))
    assert hash_pixels(save(tmp_path, gray)) == "02c17e4abbce9755b90fb77b9ea7013cdd68a7404c10ea5186efb65433fa75b3"
    of_rgb = "6dbb2689afb0a39b5ed0d4682a55c8306b2bb5f2dbae8d2e5d091f8ed9177eaf"
    assert hash_pixels(save(tmp_path, rgb)) == hash_pixels(save(tmp_path, rgb.convert("RGBA"))) == of_rgb
    assert hash_pixels(save(tmp_path, rgb.quantize(2))) == hash_pixels(rgb)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_rejected(tmp_path: Path, mode: str) -> None:
    expected = rf"^image\.tiff: has pixels of 32 bits \(mode {mode}\), expected 8 or 16 bits$"
    with pytest.raises(Unusable, match=expected):
        save(tmp_path, Image.new(mode, (2, 2), 70000), "tiff")


@pytest.mark.parametrize("kind", ["eps", "ppm", "pcx", "ico", "tga"])
def test_other_formats_are_rejected_whatever_their_file_is_called(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "image.png", kind)
    with pytest.raises(Unusable, match=r"^image\.png: does not decode: UnidentifiedImageError"):
        open_picture(tmp_path / "image.png", "image.png")


def test_images_of_too_many_pixels_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"^image\.png: has 8001 x 8001 pixels, expected at most 64,000,000$"):
        save(tmp_path, Image.new("1", (8001, 8001)))
