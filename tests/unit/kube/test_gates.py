"""The gate with real artifacts: it requires a passing validation result for the dataset's digest."""

from pathlib import Path

import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.model_gates import ProvenanceGate
from fairlead.api.training_job import Dataset
from fairlead.core.model_deployment.faults import find_fault
from fairlead.core.settings import Settings
from fairlead.core.training_job.gate import check_gate
from fairlead.kube.gates import ask_artifacts, ask_gate
from fairlead_artifacts import Manifest, Parent, SigningKey, publish, read_manifest, sign, validation_uri
from fairlead_artifacts.signing import make_keys
from fairlead_contracts.validation import ValidationResult, digest_expectations

from tests.support.resources import make_deployment

SETTINGS = Settings()


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[str, Manifest]:
    return make_artifact(tmp_path, "data", f"file://{tmp_path}/store/digits", kind="dataset")


def make_artifact(folder: Path, content: str, uri: str, **more: object) -> tuple[str, Manifest]:
    source = folder / f"source-{content}"
    source.mkdir(exist_ok=True)
    (source / "file.txt").write_text(content)
    return uri, publish(source, uri, producer="test/1", **more)  # type: ignore[arg-type]


def validate(
    folder: Path, dataset: tuple[str, Manifest], success: bool, parent: str | None = None, suite: str | None = None
) -> None:
    uri, manifest = dataset
    failed = [] if success else ["pixel_max: 255, expected at most 16"]
    parameters = ValidationResult.build(success, "pixels", failed, suite).to_json()
    parents = [Parent("dataset", parent or manifest.digest, uri)]
    place = validation_uri(uri, manifest.digest)
    make_artifact(folder, "result", place, kind="validation", parents=parents, parameters=parameters, replace=True)


async def find(
    dataset: tuple[str, Manifest], digest: str | None = None, required: bool = True, suite: str | None = None
) -> str:
    expected = Dataset(uri=dataset[0], digest=digest or dataset[1].digest, require_validation=required, suite=suite)
    finding = check_gate(expected, ask_gate(expected).read())
    return f"{finding.reason}: {finding.message}" if finding else "open"


async def test_a_dataset_without_a_validation_is_blocked(dataset: tuple[str, Manifest]) -> None:
    assert (await find(dataset)).startswith(f"ValidationMissing: No validation result for {dataset[1].digest}")


async def test_a_passing_validation_passes_the_gate(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    validate(tmp_path, dataset, success=True)
    assert await find(dataset) == "open"


async def test_a_failed_validation_names_what_failed(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    validate(tmp_path, dataset, success=False)
    assert "ValidationFailed" in (message := await find(dataset))
    assert "pixel_max: 255, expected at most 16" in message


STRICT, LAX = digest_expectations([{"max": 16}]), digest_expectations([{"max": 999}])


async def test_only_a_result_of_the_required_suite_counts(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    validate(tmp_path, dataset, success=True, suite=LAX)
    assert (message := await find(dataset, suite=STRICT)).startswith("OtherSuiteValidated")
    assert f"got a result of suite pixels ({LAX}), expected one of suite {STRICT}" in message
    assert await find(dataset) == "open"
    validate(tmp_path, dataset, success=True, suite=STRICT)
    assert await find(dataset, suite=STRICT) == "open"


async def test_a_result_without_its_suites_digest_is_of_no_required_suite(
    tmp_path: Path, dataset: tuple[str, Manifest]
) -> None:
    validate(tmp_path, dataset, success=True)
    assert (await find(dataset, suite=STRICT)).startswith("OtherSuiteValidated")


async def test_a_later_failing_result_closes_the_gate(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    validate(tmp_path, dataset, success=True, suite=LAX)
    validate(tmp_path, dataset, success=False, suite=STRICT)
    assert (message := await find(dataset)).startswith("ValidationFailed")
    assert f"suite pixels ({STRICT})" in message


async def test_a_validation_of_another_digest_is_rejected(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    validate(tmp_path, dataset, success=True, parent="sha256:" + "00" * 32)
    assert (await find(dataset)).startswith("InvalidValidationResult")


async def test_another_kind_of_artifact_is_no_validation(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    place = validation_uri(dataset[0], dataset[1].digest)
    make_artifact(tmp_path, "x", place, kind="report")
    assert (await find(dataset)).startswith("InvalidValidationResult")


async def test_a_dataset_of_another_digest_is_named_with_both(dataset: tuple[str, Manifest]) -> None:
    message = await find(dataset, digest="sha256:" + "11" * 32)
    assert message.startswith("DatasetDigestMismatch")
    assert dataset[1].digest in message


async def test_a_missing_dataset_is_waited_for(tmp_path: Path, dataset: tuple[str, Manifest]) -> None:
    assert (await find((f"file://{tmp_path}/store/none", dataset[1]))).startswith("DatasetNotFound")


async def test_without_required_validation_the_dataset_passes_the_gate(dataset: tuple[str, Manifest]) -> None:
    assert await find(dataset, required=False) == "open"


def make_chain(folder: Path) -> ModelDeployment:
    """Return a deployment of a model that was made from a dataset, which was made from another."""
    raw = make_artifact(folder, "raw", f"file://{folder}/other/raw", kind="dataset")
    parents = [Parent("raw", raw[1].digest, raw[0])]
    data = make_artifact(folder, "data", f"file://{folder}/other/data", kind="dataset", parents=parents)
    parents = [Parent("dataset", data[1].digest, data[0])]
    model = make_artifact(folder, "model", f"file://{folder}/ours/model", kind="onnx-model", parents=parents)
    return make_deployment(spec__predictors__0__graph={"name": "model", "modelUri": model[0]})


def test_all_ancestors_are_recorded(tmp_path: Path) -> None:
    chain = ask_artifacts(make_chain(tmp_path), lambda _: True).read().chain
    assert [artifact.name for artifact in chain] == ["model", "dataset", "raw"]


def test_ancestors_outside_of_the_allowed_prefixes_are_not_read(tmp_path: Path) -> None:
    ours = f"file://{tmp_path}/ours/"
    chain = ask_artifacts(make_chain(tmp_path), lambda uri: uri.startswith(ours)).read().chain
    assert [artifact.name for artifact in chain] == ["model", "dataset"]


def test_a_store_that_does_not_answer_leaves_every_node_unavailable(tmp_path: Path) -> None:
    (node,) = ask_artifacts(make_chain(tmp_path), lambda _: True).failed("no answer").nodes
    assert node.artifact.unavailable
    assert node.artifact.error == f"file://{tmp_path}/ours/model: no answer"


def test_what_an_artifact_says_of_its_parents_is_bounded(tmp_path: Path) -> None:
    parents = [Parent("n" * 5000, "sha256:" + "ab" * 32, f"file:///{'u' * 5000}")]
    model = make_artifact(tmp_path, "model", f"file://{tmp_path}/model", kind="onnx-model", parents=parents)
    deployment = make_deployment(spec__predictors__0__graph={"name": "model", "modelUri": model[0]})
    parent = ask_artifacts(deployment, lambda _: False).read().chain[1]
    assert (len(parent.name), len(parent.uri)) == (253, 2048)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[SigningKey, str]:
    """Return a key, and its public key in PEM."""
    private, public = make_keys(tmp_path / "keys")
    return SigningKey.read(private), public.read_text()


def find_signed(dataset: tuple[str, Manifest], *public: str) -> str:
    expected = Dataset(uri=dataset[0], digest=dataset[1].digest, require_validation=True, public_keys=list(public))
    finding = check_gate(expected, ask_gate(expected).read())
    return f"{finding.reason}: {finding.message}" if finding else "open"


def test_only_a_result_that_a_key_has_signed_counts(
    tmp_path: Path, dataset: tuple[str, Manifest], keys: tuple[SigningKey, str]
) -> None:
    key, public = keys
    place = validation_uri(dataset[0], dataset[1].digest)
    validate(tmp_path, dataset, success=True)
    assert find_signed(dataset) == "open"
    message = find_signed(dataset, public)
    assert message.startswith(f"ValidationNotSigned: {place}: sha256:")
    assert f"{key.id} has no signature" in message
    _, other = make_keys(tmp_path / "other")
    for signer in (SigningKey.read(tmp_path / "other" / "signing.key"), key):
        sign(place, read_digest(place), signer)
        assert (find_signed(dataset, public) == "open") is (signer is key)
    assert find_signed(dataset, other.read_text(), public) == "open"


def test_a_signed_result_that_is_replaced_is_not_signed_any_more(
    tmp_path: Path, dataset: tuple[str, Manifest], keys: tuple[SigningKey, str]
) -> None:
    key, public = keys
    place = validation_uri(dataset[0], dataset[1].digest)
    validate(tmp_path, dataset, success=False)
    sign(place, read_digest(place), key)
    assert find_signed(dataset, public).startswith("ValidationFailed")
    signature = Path(place.removeprefix("file://")) / ".fairlead-signatures" / key.id
    kept = signature.read_bytes()
    # whoever may write to the store replaces the result, and puts the earlier signature beside it
    validate(tmp_path, dataset, success=True)
    signature.parent.mkdir()
    signature.write_bytes(kept)
    assert "has signed another digest" in find_signed(dataset, public)


def read_digest(uri: str) -> str:
    return read_manifest(uri).digest


def test_a_model_that_nobody_has_signed_is_found(tmp_path: Path, keys: tuple[SigningKey, str]) -> None:
    key, public = keys
    uri, manifest = make_artifact(tmp_path, "model", f"file://{tmp_path}/ours/model", kind="onnx-model")
    deployment = make_deployment(
        spec__predictors__0__graph={"name": "classifier", "modelUri": uri},
        spec__requireSignature={"publicKeys": [public]},
    )
    read = ask_artifacts(deployment, lambda _: True).read
    fault = find_fault(deployment, read(), SETTINGS)
    assert fault is not None
    assert fault.finding.reason == "ModelNotSigned"
    assert f"Node classifier: {uri}: {manifest.digest}: {key.id} has no signature" in fault.finding.message
    sign(uri, manifest.digest, key)
    assert find_fault(deployment, read(), SETTINGS) is None


def test_a_dataset_of_a_model_needs_a_signed_result_if_keys_are_given(
    tmp_path: Path, keys: tuple[SigningKey, str]
) -> None:
    key, public = keys
    deployment = make_chain(tmp_path)
    gate = ProvenanceGate(public_keys=[public])
    deployment = deployment.model_copy(update={"spec": deployment.spec.model_copy(update={"require_provenance": gate})})
    place = f"file://{tmp_path}/other/data"
    data = (place, read_manifest(place))
    validate(tmp_path, data, success=True)
    result = validation_uri(place, data[1].digest)
    found = ask_artifacts(deployment, lambda _: True).read().validations[place, data[1].digest]
    assert f"{key.id} has no signature" in found.unsigned
    sign(result, read_digest(result), key)
    assert ask_artifacts(deployment, lambda _: True).read().validations[place, data[1].digest].unsigned == ""
