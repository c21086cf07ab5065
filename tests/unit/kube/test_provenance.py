"""The gate of models with real artifacts: their origin must be known, down to a dataset that has passed."""

from pathlib import Path
from unittest.mock import patch

import pytest
from fairlead.core.model_deployment.provenance import check_provenance
from fairlead.core.validation import check_validation
from fairlead.kube.gates import ask_artifacts
from fairlead_artifacts import Manifest, Parent, publish, validation_uri
from fairlead_contracts.parity import ConversionTable
from fairlead_contracts.validation import ValidationResult

from tests.support.resources import make_deployment

SUITE = "sha256:" + "5" * 64
PARITY = ConversionTable(
    examples=10, max_abs_difference=0.0, max_rel_difference=0.0, outside_tolerance=0, values=100, source_accuracy=1.0,
    onnx_accuracy=1.0, split="test", scale=1.0, offset=0.0, atol=0.0, rtol=0.0, min_accuracy=0.0,
).to_json()  # fmt: skip


class Store:
    """A store with a chain of artifacts: a dataset, its validation, a trained model and a converted one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, f"file://{folder}/store"
        self.dataset = self.publish("digits", "dataset")
        self.validate(True)
        self.model = self.publish("model", "model", self.dataset)
        self.convert(self.model)

    def publish(self, name: str, kind: str, *parents: tuple[str, Manifest], **more: object) -> tuple[str, Manifest]:
        source = self.folder / f"source-{name}"
        source.mkdir(exist_ok=True)
        (source / "file.txt").write_text(name)
        links = [Parent(uri.rpartition("/")[2], manifest.digest, uri) for uri, manifest in parents]
        uri = str(more.pop("uri", f"{self.root}/{name}"))
        return uri, publish(source, uri, kind=kind, producer="test/1", parents=links, **more)  # type: ignore[arg-type]

    def validate(self, success: bool, suite: str | None = SUITE, dataset: tuple[str, Manifest] | None = None) -> None:
        uri, manifest = dataset or self.dataset
        result = ValidationResult.build(success, "pixels", [] if success else ["too dark"], suite)
        place = validation_uri(uri, manifest.digest)
        self.publish("result", "validation", (uri, manifest), uri=place, parameters=result.to_json(), replace=True)

    def convert(self, *parents: tuple[str, Manifest], parameters: object = PARITY) -> None:
        self.publish("converted", "onnx-model", *parents, parameters=parameters, replace=True)

    def check(self, allowed: str = "", required: object = None, kind: str = "MODEL") -> str:
        graph = {"name": "classifier", "type": kind, "modelUri": f"{self.root}/converted"}
        gate = {} if required is None else required
        deployment = make_deployment(spec__predictors__0__graph=graph, spec__requireProvenance=gate)
        read = ask_artifacts(deployment, lambda uri: not allowed or allowed not in uri).read()
        finding = check_provenance(deployment, read)  # type: ignore[arg-type]
        return f"{finding.reason}: {finding.message}" if finding else "open"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_complete_chain_opens_the_gate(store: Store) -> None:
    assert store.check() == "open"
    assert store.check(required={"suite": SUITE}) == "open"


def test_a_dataset_without_a_passing_validation_of_the_suite_closes_it(store: Store) -> None:
    assert store.check(required={"suite": "sha256:" + "6" * 64}).startswith("OtherSuiteValidated: Node classifier: ")
    store.validate(False)
    assert "ValidationFailed: Node classifier: " in (message := store.check())
    assert "too dark" in message
    (store.folder / "store" / "digits.validation").rename(store.folder / "elsewhere")
    assert store.check().startswith("ValidationMissing: Node classifier: No validation result for sha256:")


def test_what_a_validated_dataset_was_made_of_needs_no_validation_but_must_be_there(store: Store) -> None:
    raw = store.publish("raw", "dataset")
    store.dataset = store.publish("joined", "dataset", raw)
    store.model = store.publish("model-2", "model", store.dataset)
    store.convert(store.model)
    assert store.check().startswith("ValidationMissing: Node classifier: No validation result for sha256:")
    store.validate(True)
    assert store.check(required={"suite": SUITE}) == "open"
    store.validate(True, "sha256:" + "6" * 64, raw)
    assert store.check(required={"suite": SUITE}) == "open", "the suite is the joined dataset's"
    store.validate(False, "sha256:" + "6" * 64, raw)
    assert store.check(required={"suite": SUITE}).startswith("ValidationFailed: Node classifier: ")
    (store.folder / "store" / "raw").rename(store.folder / "elsewhere")
    assert store.check().startswith("ProvenanceIncomplete: Node classifier: raw ")


def test_what_many_ancestors_share_is_judged_once(store: Store) -> None:
    left = right = store.dataset
    for level in range(14):
        left, right = (store.publish(f"{side}-{level}", "code", left, right) for side in ("left", "right"))
    store.convert(store.publish("model-2", "model", store.dataset, left, right))
    with patch("fairlead.core.model_deployment.provenance.check_validation", wraps=check_validation) as check:
        assert store.check() == "open"
    assert check.call_count < 10


def test_a_model_that_was_not_converted_with_figures_closes_it(store: Store) -> None:
    store.convert(store.model, parameters={"scale": 1.0})
    message = store.check()
    assert message.startswith("ProvenanceIncomplete: Node classifier: ")
    assert "has no figures of a conversion" in message


def test_a_model_whose_parity_was_not_measured_closes_it(store: Store) -> None:
    store.convert(store.model, parameters={"parity": "not measured", "examples": 10, "onnx_accuracy": 1.0})
    assert "has no figures of a conversion" in store.check()


def test_figures_of_an_older_converter_open_it(store: Store) -> None:
    older = {"source_accuracy", "different_classes", "different_examples", "different_bound", "min_examples"}
    older |= {"max_different", "source"}
    figures = {name: value for name, value in PARITY.items() if name not in older} | {"torch_accuracy": 1.0}
    store.convert(store.model, parameters=figures)
    assert store.check() == "open"


def test_a_model_that_names_no_origin_closes_it(store: Store) -> None:
    store.convert()
    assert "names no model from which it was converted" in store.check()
    store.convert(store.publish("alone", "model"))
    assert "alone names no dataset on which it was trained" in store.check()


def test_an_ancestor_that_is_gone_or_has_changed_closes_it(store: Store) -> None:
    store.publish("digits", "dataset", store.model, replace=True)
    assert "digits" in (message := store.check())
    assert message.startswith("ProvenanceIncomplete: Node classifier: ")


def test_an_ancestor_that_the_namespace_may_not_read_closes_it(store: Store) -> None:
    assert "cannot be read at file://" in store.check(allowed="digits")


def test_a_transformer_needs_no_training_but_what_it_names_must_hold(store: Store) -> None:
    store.convert(parameters={"scale": 1.0})
    assert store.check(kind="TRANSFORMER") == "open"
    store.validate(False)
    store.convert(store.dataset, parameters={"scale": 1.0})
    assert "ValidationFailed" in store.check(kind="TRANSFORMER")


def test_without_the_setting_every_model_is_served(store: Store) -> None:
    store.convert()
    deployment = make_deployment(spec__predictors__0__graph={"name": "a", "modelUri": f"{store.root}/converted"})
    read = ask_artifacts(deployment, lambda _: True).read()
    assert check_provenance(deployment, read) is None  # type: ignore[arg-type]
    assert read.validations == {}, "results are not read for nothing"  # type: ignore[union-attr]
