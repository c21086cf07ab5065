"""What annotators agree on becomes the next version; what is wrong is named, and nothing is published."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import read_manifest

from .conftest import LABELS, Desk, agree


def test_labelled_examples_move_from_the_pool_to_train_and_nothing_else_changes(selected: Desk) -> None:
    items = selected.items()
    out = selected.folder / "out.json"
    assert selected.bring(agree(items, "ann", "bob"), "--out", str(out)) == 0, selected.errors()
    old, new = selected.arrays(selected.dataset), selected.arrays(selected.next)
    assert (len(new["train"]["y"]), len(new["pool"]["x"])) == (12, 6)
    np.testing.assert_array_equal(new["train"]["x"][:6], old["train"]["x"])
    # rows 11, 10, … have the labels cat, dog, fox, cat, …
    np.testing.assert_array_equal(new["train"]["x"][6:], old["pool"]["x"][6:])
    assert new["train"]["y"][6:].tolist() == [2, 1, 0, 2, 1, 0]
    np.testing.assert_array_equal(new["pool"]["x"], old["pool"]["x"][:6])
    for name in ("x", "y"):
        np.testing.assert_array_equal(new["eval"][name], old["eval"][name])
    manifest = selected.manifest()
    assert json.loads(out.read_text()) == {
        "uri": selected.next, "digest": manifest.digest, "splits": {"eval": 3, "pool": 6, "train": 12}, "kappa": 1.0
    }  # fmt: skip
    assert {(parent.name, parent.digest) for parent in manifest.parents} == {
        ("dataset", read_manifest(selected.dataset).digest), ("model", read_manifest(selected.model).digest)
    }  # fmt: skip
    assert manifest.parameters["labels"] == list(LABELS)
    assert manifest.parameters["rows"] == 21
    assert "source" not in manifest.parameters
    assert "ann" not in manifest.content.decode().replace("annotators", "")


def test_the_same_annotations_are_the_same_version(selected: Desk) -> None:
    answers = agree(selected.items(), "ann", "bob")
    assert selected.bring(answers) == 0
    first = selected.manifest().digest
    assert selected.bring({name: dict(reversed(given.items())) for name, given in reversed(answers.items())}) == 0
    assert selected.manifest().digest == first


def test_a_pool_that_is_labelled_whole_is_gone(desk: Desk) -> None:
    assert desk.select(np.full((12, 3), 1 / 3)) == 0
    assert desk.bring(agree(desk.items(), "ann", "bob")) == 0
    assert sorted(desk.arrays(desk.next)) == ["eval", "train"]


def test_disputed_items_stay_in_the_pool(selected: Desk) -> None:
    items = selected.items()
    answers = agree(items, "ann", "bob")
    answers["bob"][items[0]] = "fox"
    assert selected.bring(answers, "--min-kappa", "0.5") == 0, selected.errors()
    assert len(selected.arrays(selected.next)["pool"]["x"]) == 7
    assert selected.manifest().parameters["labeling"] == {
        "items": 5, "disputed": 1, "incomplete": 0, "annotators": 2, "statistic": "cohen",
        "kappa": pytest.approx(0.75, abs=0.01), "minKappa": 0.5,
    }  # fmt: skip


def test_annotators_who_disagree_are_named_with_their_items(selected: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    items = selected.items()
    answers = agree(items, "ann", "bob", "eve")
    answers["eve"] = {item: LABELS[(place + 1) % 3] for place, item in enumerate(items)}
    report = selected.folder / "report.json"
    assert selected.bring(answers, "--report", str(report)) == 3
    text = capsys.readouterr().out
    assert "Fleiss' kappa is 0.000, expected at least 0.6" in text
    assert "ann and eve: kappa -0.500 on 6 items" in text
    assert "ann and bob" not in text
    assert "eve: differs from the majority on 6 items" in text
    assert f"item {items[0][:12]}: ann says cat, bob says cat, eve says dog" in text
    assert not selected.published()
    found = json.loads(report.read_text())
    assert (found["passed"], found["deviations"]) == (False, {"ann": 0, "bob": 0, "eve": 6})


def test_items_without_enough_annotations_fail_or_are_left_out(
    selected: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    items = selected.items()
    answers = agree(items, "ann", "bob")
    del answers["bob"][items[2]]
    assert selected.bring(answers) == 3
    assert f"item {items[2][:12]}: got 1 annotations (ann), expected 2" in capsys.readouterr().out
    assert selected.bring(answers, "--partial") == 0
    assert len(selected.arrays(selected.next)["train"]["y"]) == 11


def test_one_label_for_everything_does_not_pass(selected: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {name: dict.fromkeys(selected.items(), "cat") for name in ("ann", "bob")}
    assert selected.bring(answers) == 3
    assert "kappa is not defined" in capsys.readouterr().out


def test_unknown_labels_and_items_are_named(selected: Desk) -> None:
    items = selected.items()
    answers = agree(items, "ann", "bob")
    answers["bob"][items[1]] = "wolf"
    answers["ann"]["0" * 64] = "cat"
    assert selected.bring(answers) == 2
    message = selected.errors()
    assert f"item {items[1][:12]}: bob: got the label 'wolf', expected one of cat, dog, fox" in message
    assert "ann: got the item 000000000000, expected one of the tasks" in message
    assert not selected.published()


def test_annotations_of_another_dataset_are_rejected(selected: Desk) -> None:
    other = f"sha256:{'0' * 64}"
    file = selected.annotate(agree(selected.items(), "ann", "bob"), dataset=other)
    assert selected.run("import", "--tasks", str(selected.tasks), "--json", str(file), "--to", selected.next) == 2
    assert f"annotations.json: is about the dataset {other}, expected sha256:" in selected.errors()
    assert not selected.published()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "annotations.json: the document: got invalid JSON"),
        ("[]", "the document: got [], expected an object"),
        ('{"dataset": "sha256:00", "annotations": []}', "dataset: got 'sha256:00', expected sha256:"),
        (
            '{"schema": "fairlead.dev/labeling-annotations/v2", "dataset": "", "annotations": []}',
            "schema: got 'fairlead.dev/labeling-annotations/v2', expected",
        ),
    ],
)
def test_files_that_are_no_annotations_are_rejected_by_field(selected: Desk, content: str, message: str) -> None:
    file = selected.folder / "annotations.json"
    file.write_text(content)
    assert selected.run("import", "--tasks", str(selected.tasks), "--json", str(file), "--to", selected.next) == 2
    assert message in selected.errors()


def test_an_annotator_with_two_minds_is_named(selected: Desk) -> None:
    items = selected.items()
    file = selected.annotate(agree(items, "ann", "bob"))
    document = json.loads(file.read_text())
    document["annotations"].append({"item": items[0], "annotator": "ann", "label": "fox"})
    file.write_text(json.dumps(document))
    assert selected.run("import", "--tasks", str(selected.tasks), "--json", str(file), "--to", selected.next) == 2
    assert f"item {items[0][:12]}: ann: got the labels cat and fox, expected one" in selected.errors()


def test_a_split_that_has_labels_is_labelled_again_in_place(desk: Desk) -> None:
    scores = np.full((3, 3), 1 / 3)
    assert desk.select(scores, "--split", "eval") == 0, desk.errors()
    answers = {item: LABELS[2 - place] for place, item in enumerate(desk.items())}
    assert desk.bring({"ann": answers, "bob": answers}) == 0
    old, new = desk.arrays(desk.dataset), desk.arrays(desk.next)
    assert new["eval"]["y"].tolist() == [2, 1, 0]
    np.testing.assert_array_equal(new["eval"]["x"], old["eval"]["x"])
    np.testing.assert_array_equal(new["train"]["x"], old["train"]["x"])
    assert len(new["pool"]["x"]) == 12


def test_an_example_of_the_test_set_never_becomes_one_to_train_on(desk: Desk, tmp_path: Path) -> None:
    arrays = desk.arrays(desk.dataset)
    leaky = np.concatenate([arrays["eval"]["x"], arrays["pool"]["x"]])
    uri = f"{tmp_path.as_uri()}/store/leaky"
    digest = desk.publish(uri, parameters={"labels": list(LABELS)}, **{**arrays, "pool": {"x": leaky}})
    scores = tmp_path / "s.npz"
    np.savez(scores, scores=np.full((15, 3), 1 / 3, np.float32))
    argv = ["--dataset", uri, "--model", desk.model, "--predictions", str(scores), "--out", str(desk.tasks)]
    assert desk.run("select", *argv) == 0, desk.errors()
    rows = [item["row"] for item in json.loads(desk.tasks.read_text())["items"]]
    assert rows == list(range(3, 15)), "they are not even asked for"

    # a file of tasks that was written by hand
    document = json.loads(desk.tasks.read_text())
    desk.select(np.full((3, 3), 1 / 3), "--split", "eval")
    document["items"] += json.loads(desk.tasks.read_text())["items"]
    desk.tasks.write_text(json.dumps(document))
    file = desk.annotate(agree([item["id"] for item in document["items"]], "ann", "bob"), dataset=digest)
    assert desk.run("import", "--tasks", str(desk.tasks), "--json", str(file), "--to", desk.next) == 2
    assert "is in eval.npz, too, and does not move" in desk.errors()
    assert not desk.published()


def test_a_dataset_that_has_changed_since_is_rejected(selected: Desk) -> None:
    document = json.loads(selected.tasks.read_text())
    digest = f"sha256:{'1' * 64}"
    document["dataset"]["digest"] = digest
    selected.tasks.write_text(json.dumps(document))
    file = selected.annotate(agree(selected.items(), "ann", "bob"), dataset=digest)
    assert selected.run("import", "--tasks", str(selected.tasks), "--json", str(file), "--to", selected.next) == 2
    assert f"expected {digest}" in selected.errors()


def bring_all(desk: Desk, train: Mapping[str, Any], pool: Mapping[str, Any], labels: Sequence[str] = LABELS) -> int:
    """Publish a dataset, label its whole pool, all labels in turn, and import the annotations."""
    uri, scores = f"{desk.folder.as_uri()}/store/other", desk.folder / "other.npz"
    digest = desk.publish(uri, parameters={"labels": list(labels)}, train=train, pool=pool)
    np.savez(scores, scores=np.full((len(pool["x"]), len(labels)), 1 / len(labels), np.float32))
    argv = ["--dataset", uri, "--model", desk.model, "--predictions", str(scores), "--out", str(desk.tasks)]
    assert desk.run("select", *argv, "--count", "1000") == 0, desk.errors()
    answers = {item: labels[place % len(labels)] for place, item in enumerate(desk.items())}
    file = desk.annotate({"ann": answers, "bob": answers}, dataset=digest)
    return desk.run("import", "--tasks", str(desk.tasks), "--json", str(file), "--to", desk.next)


def test_arrays_of_any_name_move(desk: Desk) -> None:
    rows = np.arange(20.0).reshape(10, 2)
    train = {"x": rows[:2], "file": rows[:2], "y": np.array([0, 1])}
    assert bring_all(desk, train, {"x": rows[2:], "file": rows[2:]}) == 0, desk.errors()
    np.testing.assert_array_equal(desk.arrays(desk.next)["train"]["file"], rows)


@pytest.mark.parametrize("into", ["../outside", "Train", "a/b"])
def test_only_files_of_the_dataset_are_read_and_written(
    selected: Desk, into: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        selected.bring(agree(selected.items(), "ann", "bob"), "--into", into)
    assert ended.value.code == 2
    assert "argument --into: got" in capsys.readouterr().err
    assert not selected.published()


@pytest.mark.parametrize(("dtype", "code"), [(np.uint8, 2), (np.int16, 0)])
def test_a_label_that_the_split_cannot_hold_is_rejected(desk: Desk, dtype: Any, code: int) -> None:
    labels = [f"kind {number}" for number in range(301)]
    rows = np.arange(301.0)[:, None]
    pool = {"x": rows, "y": np.zeros(301, dtype)}
    assert bring_all(desk, {"x": rows + 1000, "y": np.zeros(301, dtype)}, pool, labels) == code
    if code:
        assert "pool.npz: y is uint8, expected a type that can hold 300" in desk.errors()
    else:
        assert sorted(desk.arrays(desk.next)["pool"]["y"].tolist()) == list(range(301))
