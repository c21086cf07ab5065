"""The gate with real artifacts: it requires a passing validation result for the dataset's digest."""

from pathlib import Path

import pytest
from fairlead.api.training_job import Dataset
from fairlead.core.training_job.gate import check_gate
from fairlead.kube.gates import ask_gate
from fairlead_artifacts import Manifest, Parent, publish, validation_uri


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[str, Manifest]:
    return make_artifact(tmp_path, "data", f"file://{tmp_path}/store/digits", kind="dataset")


def make_artifact(folder: Path, content: str, uri: str, **more: object) -> tuple[str, Manifest]:
    source = folder / f"source-{content}"
    source.mkdir(exist_ok=True)
    (source / "file.txt").write_text(content)
    return uri, publish(source, uri, producer="test/1", **more)  # type: ignore[arg-type]


def validate(folder: Path, dataset: tuple[str, Manifest], success: bool, parent: str | None = None) -> None:
    uri, manifest = dataset
    parameters = {"success": success, "failed": [] if success else ["pixel_max: 255, expected at most 16"]}
    parents = [Parent("dataset", parent or manifest.digest, uri)]
    place = validation_uri(uri, manifest.digest)
    make_artifact(folder, "result", place, kind="validation", parents=parents, parameters=parameters)


async def find(dataset: tuple[str, Manifest], digest: str | None = None, required: bool = True) -> str:
    expected = Dataset(uri=dataset[0], digest=digest or dataset[1].digest, require_validation=required)
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
