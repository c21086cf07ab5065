"""Build a bundle from an onnx-model artifact; it is published only if its parity is within the budget."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead_artifacts import PUBLISH_SECONDS, Manifest, Parent, fetch, publish
from fairlead_contracts.edge_bundle import (
    BUNDLE_FILE,
    KIND,
    MODEL_FILE,
    PARITY_FILE,
    PARITY_TEXT_FILE,
    REFERENCE_FILE,
    BundleDescription,
    Preprocessing,
)
from fairlead_contracts.edge_parity import EdgeParity, EdgeParityTable
from fairlead_contracts.errors import ContractError
from fairlead_contracts.parity_budget import Budget
from fairlead_contracts.reference import Reference

from . import __version__
from .errors import BundleRejected, InputUnusable
from .parity import build_table, check_parity, measure_parity
from .profiles import Profile, measure_target
from .self_test import write_self_test
from .splits import Split, check_held_out, load_split
from .targets import DEFAULT, UnknownTarget, find_target
from .targets.base import CannotBuild, Target

PRODUCER = f"fairlead-edge/{__version__}"


@dataclass(frozen=True)
class BundleRequest:
    """The bundle to build, its sources, and how much it may differ from them."""

    model_uri: str
    dataset_uri: str
    preprocessing: Preprocessing
    budget: Budget = field(default_factory=Budget)
    out_uri: str = ""
    """Where the bundle is published; nowhere in comparisons."""
    name: str = "model"
    """The model's name in requests."""
    labels: tuple[str, ...] = ()
    """Class names; if empty, classes are numbered."""
    model_digest: str | None = None
    dataset_digest: str | None = None
    target: str = DEFAULT
    """The name of the target."""
    version: int = 0
    """The number of the release."""
    architectures: tuple[str, ...] = ()
    """The processors that it may run on; all, if empty."""
    calibration_split: str = "train"
    parity_split: str = "test"
    slices: tuple[str, ...] = ()
    """The arrays of the held-out split that name slices; if empty, `slice`, if it has that."""


def build_bundle(request: BundleRequest) -> tuple[Manifest, EdgeParity]:
    """Build, compare and publish a bundle.

    Raises BundleRejected, UnknownTarget, InputUnusable or ArtifactError; nothing is published then.
    """
    target = find_target(request.target)
    with _fetched(request) as sources, tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        parity = _measure(sources, target, out)
        check_parity(parity, request.budget)
        _write_description(request, target, sources.held_out, out)
        if sources.reference is not None:
            (out / REFERENCE_FILE).write_bytes(sources.reference)
        figures = _write_parity(request, parity, out)
        manifest = publish(
            out,
            request.out_uri,
            kind=KIND,
            producer=PRODUCER,
            parents=[
                Parent("model", sources.model.digest, request.model_uri),
                Parent("dataset", sources.dataset.digest, request.dataset_uri),
            ],
            parameters={**figures, **request.preprocessing.to_json()},
            signature=sources.model.signature,
            retry_seconds=PUBLISH_SECONDS,
        )
    return manifest, parity


def compare_targets(
    request: BundleRequest, names: Iterable[str], keep: Path | None = None
) -> Iterator[tuple[str, EdgeParity | str]]:
    """Build each target and yield its name with its figures, or with why it has none; nothing is published.

    What is built stays in a folder of the target's name below `keep`, if that is given.
    """
    with _fetched(request) as sources:
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                out = (keep or Path(folder)) / name
                out.mkdir(parents=True, exist_ok=True)
                try:
                    yield name, _measure(sources, find_target(name), out)
                except (BundleRejected, InputUnusable, UnknownTarget) as error:
                    yield name, str(error)


def profile_targets(
    request: BundleRequest, names: Iterable[str], threads: Sequence[int]
) -> Iterator[tuple[str, int, Profile | str]]:
    """Build each target and yield its profile for each number of threads, or why there is none."""
    with _fetched(request) as sources:
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    parity = _measure(sources, find_target(name), Path(folder))
                except (BundleRejected, InputUnusable, UnknownTarget) as error:
                    yield name, threads[0], str(error)
                    continue
                figures = {"accuracy": parity.accuracy_after, "bytes": parity.bytes_after}
                measured = measure_target(name, Path(folder), figures, threads, sources.held_out.examples)
                yield from ((name, count, each) for count, each in zip(threads, measured, strict=True))


@dataclass(frozen=True)
class _Sources:
    """What a target is built from."""

    file: Path
    """The model."""
    model: Manifest
    dataset: Manifest
    calibration: Split
    held_out: Split
    reference: bytes | None
    """How the model's inputs are distributed in its training data, if the artifact says it."""


@contextmanager
def _fetched(request: BundleRequest) -> Iterator[_Sources]:
    """Fetch the model and the dataset for the block."""
    with tempfile.TemporaryDirectory() as folder:
        source, data = Path(folder, "source"), Path(folder, "data")
        model = fetch(request.model_uri, source, request.model_digest, "onnx-model")
        dataset = fetch(request.dataset_uri, data, request.dataset_digest, "dataset")
        calibration = load_split(data, request.calibration_split, request.preprocessing)
        held_out = load_split(data, request.parity_split, request.preprocessing, request.slices)
        check_held_out(held_out, calibration)
        reference = _read_reference(source / REFERENCE_FILE)
        yield _Sources(source / MODEL_FILE, model, dataset, calibration, held_out, reference)


def _read_reference(file: Path) -> bytes | None:
    """Return a valid reference, or None if there is none; raise InputUnusable."""
    if not file.is_file():
        return None
    content = file.read_bytes()
    try:
        Reference.parse_json(content, file.name)
    except ContractError as error:
        raise InputUnusable(str(error)) from None
    return content


def _measure(sources: _Sources, target: Target, out: Path) -> EdgeParity:
    """Write a target's files into a folder and compare them with the source."""
    try:
        target.build(sources.file, out, sources.calibration.examples)
    except ModuleNotFoundError:
        raise
    except CannotBuild as error:
        raise InputUnusable(f"target {target.name}: {error}") from None
    except Exception as error:  # noqa: BLE001 - the exceptions of the builders' libraries have no other base
        raise InputUnusable(f"target {target.name}: {type(error).__name__}: {str(error)[:300]}") from None
    if not target.runs_here:
        size = sum((out / name).stat().st_size for name in target.files)
        raise InputUnusable(f"target {target.name}: not run: built {size:,} bytes, which this machine cannot run")
    return measure_parity(sources.file, out, target, sources.held_out)


def _write_parity(request: BundleRequest, parity: EdgeParity, out: Path) -> dict[str, Any]:
    """Write the table, for programs and as text; return what the manifest says of it."""
    table = EdgeParityTable.build(parity, request.parity_split, request.budget)
    (out / PARITY_FILE).write_text(json.dumps(table.to_json(), sort_keys=True, separators=(",", ":")))
    (out / PARITY_TEXT_FILE).write_text(build_table(parity, request.budget))
    return table.parameters


def _write_description(request: BundleRequest, target: Target, held_out: Split, out: Path) -> None:
    session = target.load({name: (out / name).read_bytes() for name in target.files}, 1)
    description = BundleDescription(
        name=request.name,
        preprocessing=request.preprocessing,
        labels=request.labels,
        target=target.name,
        files={name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in target.files},
        version=request.version,
        architectures=request.architectures,
        self_test=write_self_test(out, session, held_out.cases, request.preprocessing),
    )
    (out / BUNDLE_FILE).write_text(description.to_text())
