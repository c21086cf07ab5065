"""Tasks as COCO and JSON, and annotations of such files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_labeling.documents import Tasks, read_document
from fairlead_labeling.examples import parse_shape, read_examples
from PIL import Image

from .conftest import LABELS, Desk


def export(desk: Desk, *words: str) -> int:
    return desk.run("export", "--tasks", str(desk.tasks), *words)


def write_coco(desk: Desk, **changes: Any) -> Path:
    """Export as COCO, and annotate every image: cat, dog, fox in turn."""
    folder = desk.folder / "coco"
    assert export(desk, "--coco", str(folder), "--picture", "2x2") == 0, desk.errors()
    document = json.loads((folder / "tasks.coco.json").read_text())
    document["annotations"] = [
        {"id": place, "image_id": image["id"], "category_id": 1 + place % 3, "bbox": [0, 0, 1, 1]}
        for place, image in enumerate(document["images"])
    ]
    file = desk.folder / "labelled.json"
    file.write_text(json.dumps({**document, **changes}))
    return file


def bring(desk: Desk, *words: str) -> int:
    return desk.run("import", "--tasks", str(desk.tasks), "--to", desk.next, *words)


def test_coco_has_a_picture_for_each_item_and_comes_back_labelled(selected: Desk) -> None:
    file = write_coco(selected)
    document = json.loads((selected.folder / "coco" / "tasks.coco.json").read_text())
    assert [category["name"] for category in document["categories"]] == list(LABELS)
    for image in document["images"]:
        with Image.open(selected.folder / "coco" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    assert bring(selected, "--coco", f"ann={file}", "--coco", f"bob={file}") == 0, selected.errors()
    assert selected.arrays(selected.next)["train"]["y"][6:].tolist() == [2, 1, 0, 2, 1, 0]


def test_items_that_are_no_pictures_are_not_coco(selected: Desk) -> None:
    assert export(selected, "--coco", str(selected.folder / "coco")) == 2
    assert "is no picture, expected one for COCO" in selected.errors()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"info": {"dataset": f"sha256:{'0' * 64}"}}, "is about the dataset sha256:000"),
        ({"images": [{"id": 1, "file_name": "../../etc/passwd"}]}, "image 1: '../../etc/passwd' is no item"),
        ({"categories": [{"id": 9, "name": "cat"}]}, "annotations[0].category_id: got 1, expected one of the"),
        ({"annotations": [{"image_id": 99, "category_id": 1}]}, "annotations[0].image_id: got 99, expected one of"),
        ({"categories": [{"id": n, "name": f"wolf{n}"} for n in (1, 2, 3)]}, "got the label 'wolf1', expected one of"),
        ({"annotations": [{"image_id": 1, "category_id": n} for n in (1, 2)]}, "ann: got the labels cat and dog"),
        ({"annotations": 5}, "annotations: got 5, expected a list"),
    ],
)
def test_coco_that_does_not_fit_is_rejected(selected: Desk, change: dict[str, Any], message: str) -> None:
    file = write_coco(selected, **change)
    assert bring(selected, "--coco", f"ann={file}", "--coco", f"bob={file}") == 2
    assert message in selected.errors()
    assert not selected.published()


def test_an_annotators_name_is_one_line(selected: Desk) -> None:
    file = write_coco(selected)
    assert bring(selected, "--coco", f"ann\n={file}", "--coco", f"bob={file}") == 2
    assert "annotator: got 'ann\\n', expected one line of text" in selected.errors()


@pytest.mark.parametrize("named", [["labelled.json"], ["ann=a", "ann=b"], ["=a"]])
def test_each_file_has_an_annotator_of_its_own(selected: Desk, named: list[str]) -> None:
    assert bring(selected, *(word for each in named for word in ("--coco", each))) == 2
    assert "expected ANNOTATOR=FILE" in selected.errors()


def test_json_has_the_inputs_by_name(selected: Desk) -> None:
    file = selected.folder / "out" / "items.json"
    assert export(selected, "--json", str(file)) == 0
    document = json.loads(file.read_text())
    rows = selected.arrays(selected.dataset)["pool"]["x"]
    assert [each["item"] for each in document["items"]] == selected.items()
    found = [list(each["values"].values()) for each in document["items"]]
    np.testing.assert_allclose(found, rows[[11, 10, 9, 8, 7, 6]], rtol=1e-6)


@pytest.mark.parametrize("shape", ["8", "2x3", "0x4", "2x2x1", "-2x2", "2xx2"])
def test_a_shape_that_does_not_fit_is_rejected(selected: Desk, shape: str) -> None:
    assert export(selected, "--json", str(selected.folder / "x.json"), f"--picture={shape}") == 2
    assert "--picture: got" in selected.errors()


def write_tasks(desk: Desk, pool: Any, **arrays: Any) -> None:
    """Select all of another pool, by equal scores."""
    uri, scores = f"{desk.folder.as_uri()}/store/shown", desk.folder / "shown.npz"
    desk.publish(uri, parameters={"labels": list(LABELS)}, pool={"x": pool, **arrays})
    np.savez(scores, scores=np.full((len(pool), 3), 1 / 3))
    argv = ["--dataset", uri, "--model", desk.model, "--predictions", str(scores), "--out", str(desk.tasks)]
    assert desk.run("select", *argv) == 0, desk.errors()


def test_values_that_are_not_finite_are_null(desk: Desk) -> None:
    write_tasks(desk, np.array([[1.0, np.nan], [np.inf, 2.0]]), weight=np.array([np.nan, 0.5], np.float16))
    file = desk.folder / "items.json"
    assert export(desk, "--json", str(file)) == 0, desk.errors()
    assert [each["values"] for each in json.loads(file.read_text(), parse_constant=pytest.fail)["items"]] == [
        {"x": [1.0, None], "weight": None}, {"x": [None, 2.0], "weight": 0.5},
    ]  # fmt: skip


def test_values_that_json_cannot_hold_are_rejected(desk: Desk) -> None:
    write_tasks(desk, np.zeros((2, 2)), wave=np.zeros(2, np.complex64))
    assert export(desk, "--json", str(desk.folder / "items.json")) == 2
    assert "pool.npz: wave has data type complex64, expected numbers, booleans or texts" in desk.errors()


@pytest.mark.parametrize(
    ("shape", "words", "size"),
    [
        ((8, 8), [], (128, 128)),
        ((3, 100, 300), [], (600, 200)),
        ((8, 8), ["--picture", "none"], None),
        ((1, 20000), [], None),
        ((20000, 1), [], None),
        ((1, 20, 20000), [], None),
        ((0, 5), [], None),
    ],
)
def test_examples_are_pictures_if_these_can_be_shown(
    desk: Desk, shape: tuple[int, ...], words: list[str], size: tuple[int, int] | None
) -> None:
    write_tasks(desk, np.zeros((1, *shape), np.uint8))
    (example,) = read_examples(read_document(Tasks, desk.tasks), parse_shape(words[-1] if words else ""))
    assert (example.size if example.picture else None) == size
    assert export(desk, "--json", str(desk.folder / "items.json"), *words) == 0, desk.errors()


def test_a_shape_that_cannot_be_shown_is_rejected(desk: Desk) -> None:
    write_tasks(desk, np.zeros((1, 2000)))
    assert export(desk, "--json", str(desk.folder / "items.json"), "--picture", "1x2000") == 2
    assert "--picture: got 1x2000, which would have 256000 x 128 pixels, expected at most 4096" in desk.errors()
