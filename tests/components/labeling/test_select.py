"""The most uncertain examples are chosen, each once, by either measure."""

import json
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import read_manifest
from fairlead_labeling.uncertainty import measure_uncertainty

from .conftest import POOL, Desk


def read(desk: Desk) -> Any:
    return json.loads(desk.tasks.read_text())


def test_the_most_uncertain_examples_come_first(selected: Desk) -> None:
    tasks = read(selected)
    assert [item["row"] for item in tasks["items"]] == [11, 10, 9, 8, 7, 6]
    assert {item["predicted"] for item in tasks["items"]} == {"cat"}
    assert tasks["labels"] == ["cat", "dog", "fox"]
    assert tasks["dataset"]["digest"] == read_manifest(selected.dataset).digest
    assert tasks["model"]["digest"] == read_manifest(selected.model).digest


def test_the_measures_differ_where_two_classes_are_close() -> None:
    scores = np.array([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
    entropy, margin = (measure_uncertainty(scores, name) for name in ("entropy", "margin"))
    assert entropy == pytest.approx([np.log(2), 1.5 * np.log(2), 0])
    assert margin == pytest.approx([1, 0.75, 0])


def test_logits_are_made_probabilities() -> None:
    assert measure_uncertainty(np.zeros((1, 4), np.float32), "entropy") == pytest.approx([np.log(4)])


def test_equal_examples_are_asked_for_once(desk: Desk) -> None:
    arrays = desk.arrays(desk.dataset)
    pool = np.repeat(arrays["pool"]["x"][:2], 3, axis=0)
    uri = f"{desk.folder.as_uri()}/store/twice"
    desk.publish(uri, **{**arrays, "pool": {"x": pool}})
    scores = desk.folder / "s.npz"
    np.savez(scores, scores=np.full((6, 3), 1 / 3))
    argv = ["--dataset", uri, "--model", desk.model, "--predictions", str(scores), "--out", str(desk.tasks)]
    assert desk.run("select", *argv) == 2
    assert "names no labels; name them with --labels" in desk.errors()
    assert desk.run("select", *argv, "--labels", "cat,dog,fox") == 0
    assert [item["row"] for item in read(desk)["items"]] == [0, 3]


@pytest.mark.parametrize("split", ["Pool", "../pool", "/tmp/pool", "a/b", "", "pool\n"])
def test_a_split_has_a_plain_name(desk: Desk, split: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        desk.select(np.full((POOL, 3), 0.5), "--split", split)
    assert ended.value.code == 2
    assert "argument --split: got" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scores", "words", "message"),
    [
        (np.full((POOL, 2), 0.5), [], "expected a column for each of the 3 labels"),
        (np.full((POOL - 1, 3), 0.5), [], "scores: got [11, 3], expected a row for each of the 12 examples"),
        (np.array(0.5), [], "scores: got [], expected a row for each of the 12 examples"),
        (np.full((POOL, 3), np.nan), [], "scores: row 0 has a value that is not finite"),
        (np.full((POOL, 3), 0.5), ["--split", "none"], "got eval.npz, pool.npz, train.npz, expected none.npz"),
        (np.full((POOL, 3), 0.5), ["--labels", "a,b,c"], "its labels are cat, dog, fox, got a, b, c"),
        (np.full((POOL, 3), 0.5), ["--output", "logits"], "got the arrays scores, expected logits"),
        (np.full((POOL, 3), 0.5), ["--dataset-digest", f"sha256:{'0' * 64}"], "expected sha256:0000"),
        (np.full((POOL, 3), 0.5), ["--model-digest", f"sha256:{'0' * 64}"], "expected sha256:0000"),
    ],
)
def test_what_does_not_fit_is_rejected(desk: Desk, scores: Any, words: list[str], message: str) -> None:
    assert desk.select(scores, *words) == 2
    assert message in desk.errors()
    assert not desk.tasks.exists()
