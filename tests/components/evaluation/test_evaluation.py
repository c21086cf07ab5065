"""Model cards: what is measured, what is required, and that a card says it whether the model succeeds or not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.model_card import ModelCard
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from .conftest import Make, Store

LABELS = np.tile(np.arange(3), 20)
SCORES = np.eye(3, dtype=np.float32)[LABELS] * 4


def flip(rows: int) -> Any:
    """Return scores of which so many predict another class."""
    scores = SCORES.copy()
    scores[:rows] = np.roll(scores[:rows], 1, axis=1)
    return scores


def card_of(store: Store) -> ModelCard:
    return ModelCard.parse(dict(store.read_card().parameters), "parameters")


def test_a_good_model_gets_a_card_that_names_model_data_and_figures(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make(x=flip(3), y=LABELS)
    assert store.evaluate("--out", str(store.folder / "out.json")) == 0
    manifest = store.read_card()
    assert (manifest.kind, [parent.name for parent in manifest.parents]) == ("model-card", ["dataset", "model"])
    assert store.digest in {parent.digest for parent in manifest.parents}
    card = card_of(store)
    assert (card.success, card.metric, card.value, card.minimum, card.examples) == (True, "accuracy", 0.95, 0.9, 60)
    assert "good enough: " in capsys.readouterr().out
    out = json.loads((store.folder / "out.json").read_text())
    assert (out["success"], out["uri"], out["digest"]) == (True, store.card, manifest.digest)
    assert set(out["metrics"]) == {"accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr"}
    assert out["classes"] == ["0", "1", "2"]
    assert [sum(row) for row in out["confusion"]] == [20, 20, 20]
    assert out["roc"] == [[], [], []], "there is one curve only between two classes"


def test_between_two_classes_there_is_a_curve(make: Make) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 2
    chance = np.clip(generator.normal(0.35 + 0.3 * labels, 0.2), 0.01, 0.99)
    store = make(x=np.stack([1 - chance, chance], axis=1).astype(np.float32), y=labels)
    store.evaluate("--minimum", "0.5", "--out", str(store.folder / "out.json"))
    out = json.loads((store.folder / "out.json").read_text(), parse_constant=pytest.fail)
    false, true, thresholds = out["roc"]
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert sorted(thresholds, reverse=True) == thresholds
    assert 20 < len(false) <= 100
    area = sum((x2 - x1) * (y1 + y2) / 2 for x1, x2, y1, y2 in zip(false, false[1:], true, true[1:], strict=False))
    assert area == pytest.approx(out["metrics"]["roc_auc_ovr"], abs=0.01)


def test_a_model_below_the_minimum_gets_a_card_that_says_so_and_exits_with_2(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make(x=flip(12), y=LABELS)
    assert store.evaluate() == 2
    card = card_of(store)
    assert (card.success, card.failed) == (False, ("accuracy 0.8000, expected at least 0.9",))
    assert "FAILED  accuracy 0.8000" in (text := capsys.readouterr().out)
    assert "NOT GOOD ENOUGH" in text


def test_the_last_evaluation_of_a_model_is_its_card(make: Make) -> None:
    store = make(x=flip(6), y=LABELS)
    assert store.evaluate("--minimum", "0.85") == 0
    assert store.evaluate("--minimum", "0.95") == 2
    assert not card_of(store).success
    assert store.evaluate("--minimum", "0.85") == 0
    assert card_of(store).success


def test_few_examples_show_too_little(make: Make) -> None:
    store = make(x=SCORES[:5], y=LABELS[:5])
    assert store.evaluate("--min-examples", "6") == 2
    assert card_of(store).failed == ("5 examples, expected at least 6",)


@pytest.mark.parametrize(
    ("max_gap", "failed"),
    [
        ("0.5", ()),
        ("0.2", ("camera: accuracy differs by 0.3000 between old and new, expected at most 0.2",)),
    ],
)
def test_a_slice_that_is_served_worse_closes_the_bias_gate(make: Make, max_gap: str, failed: Any) -> None:
    cameras = np.where(np.arange(60) < 20, "old", "new")
    store = make(x=flip(6), y=LABELS, camera=cameras)
    assert store.evaluate("--slice", "camera", "--max-gap", max_gap, "--minimum", "0.8") == (2 if failed else 0)
    assert card_of(store).failed == failed
    document = store.fetch_card("card")
    assert document["gaps"] == {"camera": {"gap": 0.3, "worst": "old", "best": "new"}}
    assert [(each["name"], each["examples"], each["value"]) for each in document["slices"]] == [
        ("new", 40, 1.0), ("old", 20, 0.7),
    ]  # fmt: skip
    low, high = document["slices"][1]["interval"]
    assert 0.45 < low < 0.7 < high < 0.9


def test_a_gap_that_cannot_be_judged_is_no_proof_of_fairness(make: Make) -> None:
    store = make(x=SCORES, y=LABELS, camera=np.where(np.arange(60) < 2, "old", "new"))
    assert store.evaluate("--slice", "camera", "--max-gap", "0.2") == 2
    assert card_of(store).failed == (
        "camera: fewer than two slices of 4 examples, so that there is no gap to judge",
    )  # fmt: skip


def test_logits_become_probabilities_and_the_calibration_error_is_that_of_a_hand_count(make: Make) -> None:
    scores = np.log(np.tile(np.array([[0.8, 0.1, 0.1]], np.float32), (10, 1))) + 5
    store = make(x=scores, y=np.array([0] * 6 + [1, 1, 2, 2]))
    assert store.evaluate("--minimum", "0") == 0
    assert store.fetch_card("card")["calibration_error"] == pytest.approx(0.2, abs=1e-5)


def test_numbers_are_measured_by_metrics_of_numbers(make: Make) -> None:
    truth = np.linspace(0, 1, 50, dtype=np.float32)
    store = make(x=(truth + 0.1)[:, None], y=truth)
    assert store.evaluate("--metric", "neg_mean_absolute_error", "--minimum", "-0.11") == 0
    assert card_of(store).value == pytest.approx(-0.1, abs=1e-6)
    assert store.evaluate("--metric", "r2", "--minimum", "0.99") == 2
    assert set(store.fetch_card("card")["metrics"]) == {"r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"}


def test_texts_are_classes_too(make: Make) -> None:
    words = np.array(["cat", "dog"] * 10)
    store = make("BYTES", x=np.roll(words, 1)[:, None], y=words)
    assert store.evaluate("--minimum", "0.5") == 2
    document = store.fetch_card("card")
    assert (document["value"], document["classes"], document["confusion"]) == (0, ["cat", "dog"], [[0, 10], [10, 0]])


def test_inputs_are_scaled_as_the_converter_has_written_down(make: Make) -> None:
    truth = np.linspace(1, 2, 50, dtype=np.float32)
    store = make(parameters={"scale": 2.0, "offset": 1.0}, x=truth[:, None], y=truth * 2 + 1)
    assert store.evaluate("--metric", "r2", "--minimum", "0.999") == 0


@pytest.mark.parametrize(
    ("arrays", "arguments", "message"),
    [
        ({"x": SCORES}, (), "y: got no labels, expected a label for each example"),
        ({"x": SCORES, "y": LABELS}, ("--metric", "r2"), "the model predicts no number for each example"),
        ({"x": SCORES[:, :1], "y": LABELS * 0.5}, (), "the model predicts no classes of the labels' kind"),
        ({"x": SCORES, "y": LABELS}, ("--split", "test"), "dataset: got eval.npz, expected test.npz"),
        ({"x": SCORES, "y": LABELS}, ("--slice", "age"), "eval.npz: 'age': got no such array"),
        ({"x": SCORES, "y": LABELS, "age": np.ones((60, 2))}, ("--slice", "age"), "got float64 [60, 2], expected 60"),
        ({"x": SCORES, "y": LABELS, "id": np.arange(60) * 7}, ("--slice", "id"), ""),
        ({"x": SCORES, "y": LABELS * 0}, ("--metric", "roc_auc_ovr"), "roc_auc_ovr: is not defined for these 60"),
        ({"x": SCORES * np.nan, "y": LABELS}, ("--metric", "roc_auc_ovr"), "has no finite score for each class"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_said_and_publishes_nothing(
    make: Make, capsys: pytest.CaptureFixture[str], arrays: Any, arguments: tuple[str, ...], message: str
) -> None:
    store = make(**arrays)
    code = store.evaluate(*arguments)
    if not message:
        assert code == 0
        return
    assert code == 1
    assert message in capsys.readouterr().err
    assert not Path(store.card.removeprefix("file://")).exists()


def test_more_slices_than_a_card_can_show_are_refused(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    store = make(x=np.tile(SCORES, (4, 1)), y=np.tile(LABELS, 4), id=np.arange(240))
    assert store.evaluate("--slice", "id") == 1
    assert "eval.npz: got 240 slices by id, expected at most 200" in capsys.readouterr().err


def test_equal_evaluations_are_equal_files(make: Make) -> None:
    store = make(x=flip(3), y=LABELS)
    store.evaluate()
    first = store.read_card()
    store.evaluate()
    assert store.read_card().digest == first.digest


def test_a_card_is_one_page_without_scripts_that_escapes_what_it_shows(make: Make) -> None:
    name = np.where(np.arange(60) < 30, "<script>alert(1)</script>", "b|c")
    store = make(x=flip(3), y=LABELS, who=name)
    page = store.folder / "card.html"
    assert store.evaluate("--slice", "who", "--html", str(page)) == 0
    text = page.read_text()
    assert "<script" not in text
    assert "who=&lt;script&gt;" in text
    assert text.count("<svg") == 1


def test_a_real_model_of_digits_is_measured_as_scikit_learn_measures_it(make: Make) -> None:
    values, labels = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(values[:1000], labels[:1000])
    probabilities = model.predict_proba(values[1000:]).astype(np.float32)
    store = make(x=probabilities, y=labels[1000:], half=np.arange(797) // 400)
    assert store.evaluate("--slice", "half", "--max-gap", "0.2") == 0
    document = store.fetch_card("card")
    assert document["value"] == pytest.approx(model.score(values[1000:], labels[1000:]), abs=1e-5)
    assert sum(map(sum, document["confusion"])) == 797
