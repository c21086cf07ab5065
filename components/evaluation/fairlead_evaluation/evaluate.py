"""The evaluation: fetch model and dataset, measure, and publish the model's card next to the model."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import PUBLISH_SECONDS, Manifest, Parent, fetch, model_card_uri, publish
from fairlead_contracts.model_card import KIND, ModelCard
from fairlead_contracts.model_uri import MODEL_FILE
from fairlead_contracts.signature import Signature
from fairlead_datasets.errors import Unusable
from fairlead_datasets.onnx_models import run_model
from fairlead_datasets.splits import Affine, Split, load_split

from . import __version__
from .figures import Figures, collect
from .pages import build_html, build_markdown
from .predictions import read_predictions

_PRODUCER = f"fairlead-evaluation/{__version__}"


@dataclass(frozen=True)
class Requirements:
    """What the model must reach."""

    metric: str
    minimum: float
    min_examples: int
    """The fewest examples of the split, and of a slice that is compared with others."""
    max_gap: float | None
    """How far the metric of a slice may be from that of another; None for any."""


@dataclass(frozen=True)
class Request:
    """The model to evaluate, the data, and the requirements."""

    model: tuple[str, str | None]
    """URI and, if it is pinned, digest; so the dataset."""
    dataset: tuple[str, str | None]
    split: str
    slices: tuple[str, ...]
    requirements: Requirements


@dataclass(frozen=True)
class Evaluated:
    """A published card."""

    card: ModelCard
    figures: Figures
    page: str
    """The card as HTML."""
    uri: str
    manifest: Manifest


def evaluate(request: Request) -> Evaluated:
    """Measure a model and publish its card, good or bad; raise Unusable or ArtifactError without publishing.

    A card replaces the earlier one of the same model.
    """
    with tempfile.TemporaryDirectory() as folder:
        model, data, out = Path(folder, "model"), Path(folder, "data"), Path(folder, "out")
        model_manifest = fetch(*_at(request.model, model), kind="onnx-model")
        dataset_manifest = fetch(*_at(request.dataset, data), kind="dataset")
        figures = _measure(request, model, data, model_manifest)
        card = judge(figures, request)
        out.mkdir()
        origin = (request.model[0], model_manifest.digest, request.dataset[0], dataset_manifest.digest)
        page = build_html(card, figures, *origin)
        (out / "card.json").write_text(json.dumps(card.to_json() | figures.to_json(), indent=1, sort_keys=True))
        (out / "card.md").write_text(build_markdown(card, figures, *origin))
        (out / "card.html").write_text(page)
        uri = model_card_uri(request.model[0], model_manifest.digest)
        parents = [
            Parent("model", model_manifest.digest, request.model[0]),
            Parent("dataset", dataset_manifest.digest, request.dataset[0]),
        ]
        manifest = publish(
            out, uri, kind=KIND, producer=_PRODUCER, parents=parents, parameters=card.to_json(), replace=True,
            retry_seconds=PUBLISH_SECONDS,
        )  # fmt: skip
    return Evaluated(card, figures, page, uri, manifest)


def judge(figures: Figures, request: Request) -> ModelCard:
    """Return the card: whether all requirements are met, and which are not."""
    asked = request.requirements
    failed = []
    if figures.examples < asked.min_examples:
        failed.append(f"{figures.examples} examples, expected at least {asked.min_examples}")
    if figures.value < asked.minimum:
        failed.append(f"{asked.metric} {figures.value:.4f}, expected at least {asked.minimum:g}")
    if asked.max_gap is not None:
        failed += _check_gaps(figures, asked.max_gap, asked.min_examples)
    return ModelCard(
        success=not failed,
        metric=asked.metric,
        value=figures.value,
        minimum=asked.minimum,
        examples=figures.examples,
        split=request.split,
        failed=ModelCard.shorten(failed),
    )


def _check_gaps(figures: Figures, max_gap: float, min_examples: int) -> list[str]:
    """Return a line for each array whose slices are too far apart, or too few to be compared."""
    lines = []
    for array in dict.fromkeys(each.array for each in figures.slices):
        if array not in figures.gaps or figures.gaps[array].worst == figures.gaps[array].best:
            lines.append(f"{array}: fewer than two slices of {min_examples} examples, so that there is no gap to judge")
        elif figures.gaps[array].gap > max_gap:
            gap = figures.gaps[array]
            lines.append(
                f"{array}: {figures.metric} differs by {gap.gap:.4f} between {gap.worst} and {gap.best}, "
                f"expected at most {max_gap:g}"
            )
    return lines


def load_inputs(manifest: Manifest, data: Path, split: str) -> tuple[Signature, Split]:
    """Return a model's signature and a split as the model expects it; raise Unusable."""
    if manifest.signature is None:
        raise Unusable("model: its manifest has no signature, expected a model that fairlead-onnx-converter published")
    affine = Affine(_number(manifest.parameters, "scale", 1.0), _number(manifest.parameters, "offset", 0.0))
    return manifest.signature, load_split(data, split, manifest.signature.inputs, affine)


def _measure(request: Request, model: Path, data: Path, manifest: Manifest) -> Figures:
    signature, split = load_inputs(manifest, data, request.split)
    predictions = read_predictions(run_model(signature, model / MODEL_FILE, split), split)
    asked = request.requirements
    return collect(predictions, asked.metric, data / f"{request.split}.npz", request.slices, asked.min_examples)


def _at(place: tuple[str, str | None], folder: Path) -> tuple[str, Path, str | None]:
    return place[0], folder, place[1]


def _number(parameters: Mapping[str, object], name: str, default: float) -> float:
    """Return how the model's input is scaled, which the converter has written down."""
    value = parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"model: parameters.{name}: got {value!r}, expected a number")
    return float(value)
