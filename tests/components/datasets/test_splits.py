"""Splits of datasets: arrays by name, in the data types of the model's inputs, and never a changed value."""

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.array_archives import write_arrays
from fairlead_contracts.signature import TensorSignature
from fairlead_datasets.archives import read_arrays
from fairlead_datasets.errors import Unusable
from fairlead_datasets.splits import Affine, load_split

UNCHANGED = Affine()


def load(folder: Path, dtype: str, shape: tuple[int, ...], values: Any, affine: Affine = UNCHANGED) -> Any:
    np.savez(folder / "eval.npz", x=values)
    return load_split(folder, "eval", [TensorSignature("x", dtype, shape)], affine).inputs["x"]


def test_texts_and_columns_become_what_onnx_runtime_accepts(tmp_path: Path) -> None:
    texts = load(tmp_path, "BYTES", (-1, 1), np.array(["rød", ""]))
    assert (texts.dtype, texts.tolist()) == (np.dtype(object), [["rød"], [""]])
    assert load(tmp_path, "FP32", (-1, 1), np.array([1, 2], np.uint8)).tolist() == [[1.0], [2.0]]
    assert load(tmp_path, "INT64", (-1,), np.array([1.0, 2.0])).dtype == np.int64
    assert load(tmp_path, "FP32", (-1,), np.array([1, 3]), Affine(0.5, 1.0)).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("dtype", "values", "affine", "reason"),
    [
        ("INT64", np.array([1.5]), Affine(), "eval.npz: x: got 1.5, expected values that INT64 can hold"),
        ("UINT8", np.array([256]), Affine(), "eval.npz: x: got 256, expected values that UINT8 can hold"),
        ("FP32", np.array(["1"]), Affine(), "x has data type <U1, expected FP32"),
        ("BYTES", np.array([b"1"]), Affine(), "x has data type |S1, expected texts (U)"),
        ("BYTES", np.array([1]), Affine(), "x has data type int64, expected texts (U)"),
        ("BYTES", np.array(["a"]), Affine(2.0), "x: got texts, expected numbers for scale 2"),
        ("FP32", np.array([1j]), Affine(), "x has data type complex128, expected FP32"),
        ("FP32", np.array(1.0), Affine(), "x has shape [], expected a row per example"),
        ("FP32", np.zeros((2, 2)), Affine(), "x has shape [-1, 2], expected [-1]"),
        ("BF16", np.array([1.0]), Affine(), "input x: got BF16, expected one of"),
    ],
)
def test_a_value_that_the_input_cannot_hold_is_refused(
    dtype: str, values: Any, affine: Affine, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(Unusable) as caught:
        load(tmp_path, dtype, (-1,), values, affine)
    assert reason in str(caught.value)


def test_objects_and_bombs_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = [TensorSignature("x", "FP32", (-1,))]
    np.savez(tmp_path / "eval.npz", x=np.array([{}], object))
    with pytest.raises(Unusable, match=r"eval.npz/x.npy: got an array of Python objects"):
        load_split(tmp_path, "eval", signature, Affine())
    monkeypatch.setattr("fairlead_datasets.archives._FREE_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "eval.npz", x=np.zeros(1 << 19, np.float32))
    with pytest.raises(Unusable, match="expected at most 50 times as many; save it without compression"):
        load_split(tmp_path, "eval", signature, Affine())
    np.savez(tmp_path / "eval.npz", x=np.zeros(1 << 19, np.float32))
    assert len(load_split(tmp_path, "eval", signature, Affine())) == 1 << 19


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_archive_is_refused_and_not_a_crash(compression: int, tmp_path: Path) -> None:
    array, file, seed = io.BytesIO(), tmp_path / "eval.npz", random.Random(0)
    np.save(array, np.random.default_rng(0).random(60, np.float32))
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x.npy", array.getvalue())
    content, refused = file.read_bytes(), 0
    for _ in range(100):
        damaged = bytearray(content)
        damaged[seed.randrange(len(damaged))] = seed.randrange(256)
        file.write_bytes(damaged)
        try:
            read_arrays(file)
        except Unusable:
            refused += 1
    assert refused > 60


def test_an_array_whose_header_is_cut_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "eval.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x08\x00{'a': (\n")
    with pytest.raises(Unusable, match="is not an intact zip archive"):
        read_arrays(tmp_path / "eval.npz")


def test_arrays_of_any_name_are_written_and_equal_ones_are_equal_bytes(tmp_path: Path) -> None:
    arrays = {
        name: np.arange(6).reshape(2, 3) + index
        for index, name in enumerate(["file", "args", "allow_pickle", "/model/Softmax:0", "texts.npy", "ø"])
    }  # fmt: skip
    arrays["columns"] = np.asfortranarray(arrays["file"])
    arrays["number"] = np.array(5)
    write_arrays(tmp_path / "a.npz", arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    write_arrays(tmp_path / "b.npz", {name: array.copy("F") for name, array in found.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(tmp_path / "c.npz", {"x": np.array([{}])})
