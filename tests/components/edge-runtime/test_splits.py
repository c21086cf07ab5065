"""Splits in archives that are odd, damaged or too large."""

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_edge import archives
from fairlead_edge.errors import InputUnusable
from fairlead_edge.splits import Split, check_held_out, load_split

ARRAYS = {"x": np.zeros((4, 2), np.float32), "y": np.arange(4)}


def encode(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_header(header: str) -> bytes:
    """Return an array whose header is this text."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode("latin-1")


def load(folder: Path, *slices: str, **members: bytes) -> Split:
    """Write x, y and other members, which may replace them, and load the split."""
    with zipfile.ZipFile(folder / "test.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ({f"{key}.npy": encode(array) for key, array in ARRAYS.items()} | members).items():
            archive.writestr(name, content)
    return load_split(folder, "test", Preprocessing(), slices)


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"some text",
        with_header("{'a': (\n"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2\n"),
        with_header("{" * 3000),
        with_header("[" * 9000),
        with_header("\x00"),
        with_header("{1: 2, 'a': 3}\n"),
        with_header("{[]: 1}\n"),
        with_header("1"),
        with_header(HEADER % "4, -2"),
        with_header(HEADER % ("9" * 40)),
        with_header(HEADER % "1 << 62"),
        with_header(HEADER % "1152921504606846975, "),
        with_header(HEADER.replace("<f4", "<z9") % "4, 2"),
        with_header(HEADER.replace("'<f4'", "[('a', 'b', 'c', 'd')]") % "4, 2"),
        with_header(HEADER.replace("'<f4'", "('<f4',)") % "4, 2"),
        encode(np.array([{}], object)),
        encode(np.zeros((4, 2)))[:-1],
    ],
)
def test_arrays_that_are_damaged_are_rejected(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputUnusable, match=r"^test\.npz: "):
        load(tmp_path, **{"x.npy": content})


def test_damaged_archives_never_end_in_another_exception(tmp_path: Path) -> None:
    load(tmp_path)
    content, seed, rejected = (tmp_path / "test.npz").read_bytes(), random.Random(0), 0
    header = encode(ARRAYS["x"])
    for number in range(600):
        damaged = bytearray(content if number % 2 else header)
        for _ in range(seed.randint(1, 4)):
            damaged[seed.randrange(len(damaged) if number % 2 else 100)] = seed.randrange(256)
        try:
            if number % 2:
                (tmp_path / "test.npz").write_bytes(damaged)
                load_split(tmp_path, "test", Preprocessing())
            else:
                load(tmp_path, **{"x.npy": bytes(damaged)})
        except InputUnusable:
            rejected += 1
    assert rejected > 300


def test_a_single_array_and_a_text_are_no_archives(tmp_path: Path) -> None:
    for content in (encode(ARRAYS["x"]), b"text", b""):
        (tmp_path / "test.npz").write_bytes(content)
        with pytest.raises(InputUnusable, match=r"test\.npz: is not an archive of plain arrays"):
            load_split(tmp_path, "test", Preprocessing())


def test_members_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    more = {"README.txt": b"how it was made", "noise.npy": b"damaged", "objects.npy": encode(np.array([{}], object))}
    assert len(load(tmp_path, **more).examples) == 4
    reason = r"test\.npz: got noise, objects, expected 'README.txt', which names slices"
    with pytest.raises(InputUnusable, match=reason):
        load(tmp_path, "README.txt", **more)


def test_only_arrays_that_are_used_count_for_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    bomb = {"site.npy": encode(np.zeros(1 << 20, np.uint8))}
    assert len(load(tmp_path, **bomb).examples) == 4
    with pytest.raises(InputUnusable, match=r"test\.npz: got \d{7} bytes of arrays, expected at most 1000"):
        load(tmp_path, "site", **bomb)


def test_too_little_memory_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match=r"test\.npz: "):
        load(tmp_path, **{"x.npy": with_header(HEADER % "1 , 100000000000000000")})


def test_slices_of_half_a_character_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match=r"test\.npz: 'slice': got '\\ud800', expected names in Unicode"):
        load(tmp_path, **{"slice.npy": encode(np.array(["a", "b", "c", "\ud800"]))})


def test_names_of_arrays_are_listed_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable) as caught:
        load(tmp_path, "site", **{f"{name}\n\x1b.npy": encode(np.zeros(4)) for name in ["a" * 100, *range(30)]})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_the_calibration_split_is_not_held_out_whatever_its_order_and_name() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    calibration = Split(x, np.zeros(50), file="train.npz")
    check_held_out(Split(x[:49], np.zeros(49), file="test.npz"), calibration)
    reason = "train.npz and test.npz: got the same 50 examples for calibration and for parity, expected held-out ones"
    with pytest.raises(InputUnusable, match=reason):
        check_held_out(Split(x[::-1], np.zeros(50), file="test.npz"), calibration)
