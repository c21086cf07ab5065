"""Import annotations: the gate, and the next version of the dataset."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import PUBLISH_SECONDS, JsonValue, Manifest, fetch, publish

from . import __version__
from .documents import Annotation, Tasks
from .gate import Requirements, Verdict, collect, judge
from .labelled import Change, build_parameters, write_next
from .selecting import list_parents

PRODUCER = f"fairlead-labeling/{__version__}"


@dataclass(frozen=True)
class Imported:
    """What the gate found, and the next version if it passed."""

    verdict: Verdict
    manifest: Manifest | None
    sizes: Mapping[str, int]


def import_annotations(
    tasks: Tasks, annotations: Iterable[Annotation], required: Requirements, into: str, uri: str
) -> Imported:
    """Publish the next version of the tasks' dataset, if the annotations pass; raise Unusable or ArtifactError."""
    verdict = judge(collect(tasks, annotations), required)
    if verdict.problems:
        return Imported(verdict, None, {})
    indexes = {label: index for index, label in enumerate(tasks.labels)}
    change = Change(tasks.split, into, {item: indexes[label] for item, label in verdict.agreement.majority.items()})
    with tempfile.TemporaryDirectory() as temporary:
        old, new = Path(temporary, "old"), Path(temporary, "new")
        new.mkdir()
        manifest = fetch(tasks.dataset.uri, old, tasks.dataset.digest, kind="dataset")
        sizes = write_next(old, new, change)
        parameters = build_parameters(manifest, sizes, tasks.labels) | {"labeling": _describe(verdict, required)}
        published = publish(
            new, uri, kind="dataset", producer=PRODUCER, parents=list_parents(tasks), parameters=parameters,
            retry_seconds=PUBLISH_SECONDS,
        )  # fmt: skip
    return Imported(verdict, published, sizes)


def _describe(verdict: Verdict, required: Requirements) -> JsonValue:
    """Return what the manifest says of the labels; annotators are counted, not named: it is read by many."""
    agreement = verdict.agreement
    return {
        "items": len(agreement.majority), "disputed": len(agreement.disputed), "incomplete": len(verdict.incomplete),
        "annotators": len(agreement.deviations), "statistic": agreement.statistic,
        "kappa": agreement.kappa and round(agreement.kappa, 6), "minKappa": required.min_kappa,
    }  # fmt: skip
