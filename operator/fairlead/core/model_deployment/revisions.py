"""Revisions: what determines a predictor's pods, kept as ControllerRevisions and named by its hash."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core import names
from fairlead.core.children import Object, build_owned
from fairlead.core.model_deployment.gpus import choose_image
from fairlead.core.plan import Deletion
from fairlead.core.settings import Settings
from fairlead.core.views import RevisionView

HISTORY = 10
"""How many revisions are kept besides those in use."""
_SCALING = ("replicas", "traffic", "shadow")
"""Fields of a predictor that do not change its pods."""


class _Record(BaseModel):
    """The data of a ControllerRevision."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    predictor: Predictor
    digests: dict[str, str]
    image: str


@dataclass(frozen=True)
class Revision:
    """What determines the pods of a predictor."""

    name: str
    """The hash of the rest."""
    predictor: Predictor
    """The predictor without what only scales it."""
    digests: Mapping[str, str]
    """The digests of its models by modelUri, so that a model that is published again is another revision."""
    image: str
    """The graph server's image, so that an upgrade of the operator is a rollout, too."""


def digests_of(predictor: Predictor, digests: Mapping[str, str]) -> dict[str, str]:
    """Return those digests that are of a predictor's models."""
    uris = [node.model_uri for node in predictor.graph.walk() if node.model_uri]
    return {uri: digests[uri] for uri in uris if uri in digests}


def build_revision(predictor: Predictor, digests: Mapping[str, str], settings: Settings) -> Revision:
    """Return the revision of a predictor; `digests` are those of its models."""
    stripped = predictor.model_dump(mode="json", exclude_unset=True, exclude=set(_SCALING))
    data = {"predictor": stripped, "digests": dict(digests), "image": choose_image(predictor, settings)}
    return _read(data)


def build_record(deployment: ModelDeployment, revision: Revision, known: Iterable[RevisionView]) -> Object:
    """Return the ControllerRevision of a revision, with the next number after those that are known."""
    number = max((view.number for view in known), default=0) + 1
    head = build_owned(
        deployment,
        "apps/v1",
        "ControllerRevision",
        names.revision_name(deployment, revision.name),
        names.revision_labels(deployment, revision.name),
    )
    return head | {"revision": number, "data": _to_data(revision)}


def read_revisions(views: Iterable[RevisionView]) -> dict[str, Revision]:
    """Return the revisions by name. A record that is not what its name says is left out: it was changed by hand."""
    found = {}
    for view in views:
        try:
            revision = _read(json.loads(view.data))
        except (ValidationError, ValueError, TypeError, RecursionError):
            continue
        if view.name.endswith(f"-{revision.name}"):
            found[revision.name] = revision
    return found


def find_old(
    deployment: ModelDeployment, views: Iterable[RevisionView], used: Iterable[str | None]
) -> tuple[Deletion, ...]:
    """Return the records beyond HISTORY that are not in use, oldest first."""
    kept = {names.revision_name(deployment, name) for name in used if name}
    others = sorted((view for view in views if view.name not in kept), key=lambda view: (view.number, view.name))
    return tuple(
        Deletion("ControllerRevision", view.name, view.uid) for view in others[: max(0, len(others) - HISTORY)]
    )


def _read(data: Object) -> Revision:
    record = _Record.model_validate(data)
    revision = Revision("", record.predictor, record.digests, record.image)
    name = names.short_hash(json.dumps(_to_data(revision), sort_keys=True))
    return Revision(name, record.predictor, record.digests, record.image)


def _to_data(revision: Revision) -> Object:
    return {
        "predictor": revision.predictor.model_dump(mode="json", exclude_unset=True),
        "digests": dict(revision.digests),
        "image": revision.image,
    }
