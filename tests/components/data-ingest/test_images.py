"""Images by class: decoded, split, augmented, and written as files or arrays."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import Kitchen


def picture(number: int, size: int = 12, kind: str = "PNG") -> bytes:
    """Return a picture of a random color with a bright corner."""
    generator = np.random.default_rng(number)
    pixels = np.zeros((size, size, 3), np.uint8) + generator.integers(0, 120, 3).astype(np.uint8)
    pixels[:4, :4] = generator.integers(130, 256, 3)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def write_pets(kitchen: Kitchen, count: int = 40) -> None:
    kitchen.write({f"pets/{'cat' if i % 4 else 'dog'}/{i}.png": picture(i) for i in range(count)})


RECIPE: dict[str, Any] = {"source": {"path": "pets"}, "split": {"stratify": "class"}}


def test_images_are_split_and_keep_their_bytes(kitchen: Kitchen) -> None:
    write_pets(kitchen)
    manifest = kitchen.make(RECIPE)
    assert manifest.parameters["classes"] == {"cat": 30, "dog": 10}
    assert manifest.parameters["splits"] == {"train": 32, "eval": 8}
    names = [entry.path for entry in manifest.files if entry.path != "recipe.json"]
    assert len({name.partition("/")[2] for name in names}) == 40
    folder = kitchen.fetch()
    for name in names:
        assert (folder / name).read_bytes() == (kitchen.folder / "pets" / name.partition("/")[2]).read_bytes()


def test_only_the_training_split_gets_copies_and_they_are_the_same_each_time(kitchen: Kitchen) -> None:
    write_pets(kitchen)
    changes = {"flip": True, "rotate": 20, "shift": 0.1, "brightness": 0.2, "contrast": 0.2, "noise": 0.02}
    recipe = {**RECIPE, "augment": {"copies": 3, "images": changes}}
    first = kitchen.make(recipe)
    assert first.parameters["splits"] == {"train": 128, "eval": 8}
    copies = [entry.path for entry in first.files if ".copy" in entry.path]
    assert len(copies) == 96
    assert all(path.startswith("train/") for path in copies)
    folder = kitchen.fetch()
    contents = {(folder / path).read_bytes() for path in copies}
    assert len(contents) == 96
    assert Image.open(folder / copies[0]).size == (12, 12)
    kitchen.uri += "2"
    assert kitchen.make(recipe).digest == first.digest


def test_a_changed_copy_is_near_its_original(kitchen: Kitchen) -> None:
    write_pets(kitchen, 8)
    changes = {"rotate": 3, "shift": 0.02, "brightness": 0.05}
    kitchen.make({"source": {"path": "pets"}, "split": {"shares": {"train": 1.0}}, "augment": {"images": changes}})
    folder = kitchen.fetch() / "train"
    for copy in folder.rglob("*.copy1.png"):
        original = np.asarray(Image.open(copy.with_name(copy.name.removesuffix(".copy1.png"))), float)
        assert 0 < np.abs(np.asarray(Image.open(copy), float) - original).mean() < 12


def test_copies_of_images_that_differ_in_their_extension_alone_are_apart(kitchen: Kitchen) -> None:
    kitchen.write({"pets/cat/1.png": picture(1), "pets/cat/1.jpg": picture(2, kind="JPEG")})
    recipe = {"source": {"path": "pets"}, "augment": {"split": "data", "images": {"noise": 0.1}}}
    assert kitchen.make(recipe).parameters["classes"] == {"cat": 4}
    assert len(list(kitchen.fetch().rglob("*.copy1.png"))) == 2
    kitchen.write({"pets/cat/1.png.copy1.png": picture(3)})
    kitchen.uri += "2"
    assert "cat/1.png.copy1.png: is the name of a copy" in kitchen.reject(recipe)


def test_images_become_arrays_of_one_size(kitchen: Kitchen) -> None:
    write_pets(kitchen)
    kitchen.write({"pets/dog/big.jpg": picture(99, 40, "JPEG")})
    manifest = kitchen.make({**RECIPE, "output": {"format": "npz", "size": [8, 10], "channels": 1}})
    assert manifest.parameters["labels"] == ["cat", "dog"]
    arrays = kitchen.arrays()
    assert (arrays["train"]["x"].shape[1:], arrays["train"]["x"].dtype) == ((1, 8, 10), np.uint8)
    assert np.concatenate([part["y"] for part in arrays.values()]).tolist().count(1) == 11


def test_images_of_a_folder_stay_together(kitchen: Kitchen) -> None:
    kitchen.write({f"pets/{kind}/pet{i // 5}/{i}.png": picture(i + 1000 * (kind == "dog"))
                   for i in range(100) for kind in ("cat", "dog")})  # fmt: skip
    manifest = kitchen.make({**RECIPE, "split": {"group": ["folder"], "stratify": "class"}})
    splits: dict[str, set[str]] = {}
    for entry in manifest.files:
        split, _, rest = entry.path.partition("/")
        splits.setdefault(split, set()).add(rest.rpartition("/")[0])
    assert not splits["train"] & splits["eval"]
    assert len(splits["eval"]) == 8


def test_equal_pixels_are_duplicates_whatever_their_files(kitchen: Kitchen) -> None:
    write_pets(kitchen, 12)
    again = io.BytesIO()
    Image.open(io.BytesIO(picture(3))).save(again, "PNG", compress_level=1)
    assert again.getvalue() != picture(3)
    kitchen.write({"pets/dog/again.png": again.getvalue()})
    assert "dog/again.png row 1 equals cat/3.png row 1" in kitchen.reject(RECIPE)
    assert kitchen.make({**RECIPE, "duplicates": "drop"}).parameters["classes"] == {"cat": 9, "dog": 3}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cat/x.png", picture(1)[:60], "cat/x.png: does not decode: "),
        ("cat/x.png", picture(1)[:-30], "cat/x.png: does not decode: "),
        ("cat/x.png", b"", "cat/x.png: is no PNG image: starts with nothing"),
        ("cat/x.png", b"GIF89a......", "cat/x.png: is no PNG image: starts with"),
        ("x.png", picture(1), "source: got "),
    ],
)
def test_an_image_that_does_not_decode_is_named(kitchen: Kitchen, name: str, content: bytes, message: str) -> None:
    write_pets(kitchen, 8)
    kitchen.write({f"pets/{name}": content})
    assert message in kitchen.reject(RECIPE)


def test_an_image_that_is_huge_in_memory_is_rejected(kitchen: Kitchen) -> None:
    write_pets(kitchen, 8)
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    kitchen.write({"pets/cat/bomb.png": bomb.getvalue()})
    assert len(bomb.getvalue()) < 100_000
    assert "cat/bomb.png: " in kitchen.reject(RECIPE)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"output": {"format": "npz"}}, "output.size: got nothing, expected [height, width]"),
        ({"output": {"format": "npz", "size": [30_000, 30_000]}}, "the pixels of train.npz: got 35,100,000,000"),
        ({"output": {"format": "csv"}}, "output.format: got csv, expected images or npz"),
        ({"augment": {"noise": 0.1}}, "augment: expected images for this source"),
        ({"columns": {"id": {"type": "integer"}}}, "columns: got a schema, expected none for images"),
        ({"augment": {"split": "test", "images": {}}}, "augment.split: got 'test', expected one of train, eval"),
    ],
)
def test_recipes_that_do_not_fit_images_are_rejected(kitchen: Kitchen, more: dict[str, Any], message: str) -> None:
    write_pets(kitchen, 16)
    assert message in kitchen.reject({**RECIPE, **more})
