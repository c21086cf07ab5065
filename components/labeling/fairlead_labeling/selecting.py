"""Select the examples of a split of which a model is most uncertain."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_artifacts import Parent, fetch, read_manifest
from fairlead_datasets.archives import read_arrays
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

from .documents import Item, Pinned, Tasks, build
from .rows import LABELS, Arrays, count_rows, identify, list_labels, read_split
from .served import ServedModel
from .uncertainty import choose, measure_uncertainty, read_probabilities

_SCORES = "scores"


@dataclass(frozen=True)
class Place:
    """An artifact and, if it is pinned, its digest."""

    uri: str
    digest: str | None = None

    def pin(self) -> Pinned:
        """Return it with its digest; raise Unusable or ArtifactError."""
        return build(Pinned, "artifact", {"uri": self.uri, "digest": read_manifest(self.uri, self.digest).digest})


@dataclass(frozen=True)
class Selection:
    """What to select."""

    dataset: Place
    model: Place
    split: str
    labels: tuple[str, ...]
    measure: str
    count: int
    url: str | None
    """The served model; else `predictions` is an archive with its scores."""
    predictions: Path | None
    output: str | None
    retry_seconds: float


def select(selection: Selection) -> Tasks:
    """Return the tasks; raise Unusable, ServerUnavailable or ArtifactError."""
    model = selection.model.pin()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "dataset")
        manifest = fetch(selection.dataset.uri, folder, selection.dataset.digest, kind="dataset")
        arrays = read_split(folder, selection.split)
        labels = list_labels(manifest, selection.labels, selection.dataset.uri)
        known = _list_known(folder, selection.split)
    ids = identify(arrays)
    rows = [row for row, item in enumerate(ids) if item not in known]
    if not rows:
        raise Unusable(f"{selection.split}.npz: each of its {len(ids):,} examples is in another split, too")
    heading = {
        "dataset": build(Pinned, "dataset", {"uri": selection.dataset.uri, "digest": manifest.digest}),
        "model": model, "split": selection.split, "labels": labels,
    }  # fmt: skip
    # before the model is asked, which may take long
    build(Tasks, "tasks", {**heading, "items": (Item(id=ids[rows[0]], row=rows[0]),)})
    scores = _read_scores(selection, {name: array for name, array in arrays.items() if name != LABELS})
    if scores.shape[1:] != (len(labels),):
        raise Unusable(f"scores: got {list(scores.shape)}, expected a column for each of the {len(labels)} labels")
    uncertainty, best = measure_uncertainty(scores[rows], selection.measure), read_probabilities(scores).argmax(axis=1)
    chosen = choose(uncertainty, [ids[row] for row in rows], selection.count)
    items = tuple(
        Item(id=ids[rows[place]], row=rows[place], uncertainty=round(float(uncertainty[place]), 9),
             predicted=labels[int(best[rows[place]])])
        for place in chosen
    )  # fmt: skip
    return build(Tasks, "tasks", {**heading, "items": items})


def list_parents(tasks: Tasks) -> Sequence[Parent]:
    """Return the artifacts that the next version of the dataset is derived from."""
    model = [Parent("model", tasks.model.digest, tasks.model.uri)] if tasks.model else []
    return [Parent("dataset", tasks.dataset.digest, tasks.dataset.uri), *model]


def _list_known(folder: Path, split: str) -> set[str]:
    """Return the examples of the other splits: they have a place already."""
    others = [file.stem for file in sorted(folder.glob("*.npz")) if file.stem != split]
    return {item for other in others for item in identify(read_split(folder, other))}


def _read_scores(selection: Selection, inputs: Arrays) -> NDArray[Any]:
    if selection.url is not None:
        scores = ServedModel(selection.url, selection.retry_seconds).score(inputs, selection.output)
    else:
        file = selection.predictions or Path()
        if not file.is_file():
            raise Unusable(f"{file}: expected a file with the model's scores")
        found, name = read_arrays(file), selection.output or _SCORES
        if name not in found:
            raise Unusable(f"{file}: got the arrays {', '.join(found)}, expected {name}")
        scores = found[name]
    if scores.ndim != 2 or len(scores) != count_rows(inputs):
        raise Unusable(f"scores: got {list(scores.shape)}, expected a row for each of the "
                       f"{count_rows(inputs)} examples")  # fmt: skip
    return scores
