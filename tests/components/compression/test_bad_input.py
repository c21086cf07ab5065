"""What cannot be used: each message names a field, its value and what was expected, and nothing is published."""

from pathlib import Path

import numpy as np
import pytest
from fairlead_artifacts import publish

from .conftest import Desk

STUDENT = "student: {hidden: [4]}, epochs: 1"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("prune: {share: 0.5, epochs: 1, sparsity: 2}", "prune.sparsity: got 2, expected no field of this name"),
        ("prune: {share: 1.5, epochs: 1}", "prune.share: got 1.5, expected less than 1"),
        ("prune: {share: 0, epochs: 1}", "prune.share: got 0, expected more than 0"),
        ("prune: {share: 0.5, epochs: 0}", "prune.epochs: got 0, expected at least 1"),
        ("prune: {share: 0.5}", "prune.epochs: got nothing, expected a value"),
        (f"distill: {{{STUDENT}, alpha: 2}}", "distill.alpha: got 2, expected at most 1"),
        (f"distill: {{{STUDENT}, temperature: .nan}}", "distill.temperature: got nan, expected a finite number"),
        (
            f"distill: {{{STUDENT}}}\nprune: {{share: 0.5, epochs: 1}}",
            "got neither or both, expected one of distill and prune",
        ),
        ("maxDrop: 0.1", "got neither or both, expected one of distill and prune"),
        ("prune: &a {share: 0.5, epochs: 1}\ndistill: *a", "has an alias (*name), expected none"),
        ("distill: {student: {channels: [0]}, epochs: 1}", "distill.student.channels[0]: got 0, expected at least 1"),
        (
            "distill: {student: {hidden: [600]}, epochs: 1}",
            "distill.student: got 45,010 parameters, expected fewer than the teacher's 38,282",
        ),
    ],
)
def test_a_recipe_that_cannot_be_used(desk: Desk, recipe: str, message: str) -> None:
    assert desk.run(recipe + "\n") == 1
    assert message in desk.errors()


@pytest.mark.parametrize(
    ("labels", "shape", "message"),
    [
        (np.array([0, 10]), (1, 8, 8), "train.npz: y: got 10, expected classes from 0 to 9, as the model has"),
        (np.array([0, -1]), (1, 8, 8), "train.npz: y: got -1, expected classes from 0 to 9"),
        (np.array([0.0, 1.0]), (1, 8, 8), "train.npz: y: got float64 of shape [2], expected an integer for each row"),
        (None, (1, 8, 8), "train.npz: y: got no labels, expected an integer for each row"),
        (np.array([0, 1]), (1, 9, 9), "train.npz: x has shape [-1, 1, 9, 9], expected [-1, 1, 8, 8]"),
    ],
)
def test_a_dataset_that_the_model_cannot_be_trained_on(
    desk: Desk, tmp_path: Path, labels: np.ndarray | None, shape: tuple[int, ...], message: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    arrays = {"x": np.zeros((2, *shape), np.float32)} | ({} if labels is None else {"y": labels})
    np.savez(data / "train.npz", **arrays)
    publish(data, (tmp_path / "other").as_uri(), kind="dataset", producer="tests/0")
    assert desk.run("prune: {share: 0.5, epochs: 1}\n", dataset=str(tmp_path / "other")) == 1
    assert message in desk.errors()


def test_one_split_cannot_be_held_out_and_trained_on(desk: Desk) -> None:
    assert desk.run("prune: {share: 0.5, epochs: 1}\n", "--split", "train") == 1
    assert "split: got 'train' to train on and to measure on, expected two splits" in desk.errors()


def test_a_model_in_another_format_is_an_error(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"")
    publish(folder, (tmp_path / "other").as_uri(), kind="model", producer="tests/0")
    assert desk.run("prune: {share: 0.5, epochs: 1}\n", model=str(tmp_path / "other")) == 1
    assert "model: got model.onnx, expected model.pt2 and signature.json" in desk.errors()
