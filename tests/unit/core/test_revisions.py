"""Revisions: what makes another one, and what is believed of their records."""

import json
from typing import Any

import pytest
from fairlead.core import names
from fairlead.core.model_deployment.revision_children import build_revision_children
from fairlead.core.model_deployment.revisions import (
    HISTORY,
    Revision,
    build_record,
    build_revision,
    find_old,
    read_revisions,
)
from fairlead.core.settings import Settings
from fairlead.core.views import RevisionView

from tests.support.resources import DIGEST, NODE_CONTAINER, make_deployment

DEPLOYMENT = make_deployment()
OTHER_DIGEST = DIGEST.replace("a", "c")


def revision(digest: str = DIGEST, image: str = "server:1", **changes: Any) -> Revision:
    settings = Settings(graph_server_image=image)
    return build_revision(make_deployment(**changes).spec.predictors[0], {"s3://models/scaler/v1": digest}, settings)


def view(of: Revision, number: int = 1) -> RevisionView:
    record = build_record(DEPLOYMENT, of, ())
    return RevisionView(record["metadata"]["name"], "uid", number, json.dumps(record["data"]))


def test_what_changes_the_pods_is_another_revision_and_what_scales_them_is_not() -> None:
    same = [revision(), revision(spec__replicas=9), revision(spec__predictors__0__replicas=3),
            revision(spec__predictors__0__traffic=100)]  # fmt: skip
    assert len({each.name for each in same}) == 1
    others = [revision(OTHER_DIGEST), revision(image="server:2"), revision(spec__predictors__0__name="other"),
              revision(spec__predictors__0__graph__children=[])]  # fmt: skip
    assert len({each.name for each in (*same, *others)}) == 5


def test_a_record_is_read_as_it_was_written() -> None:
    parts = [NODE_CONTAINER | {"metadata": {"labels": {"team": "vision"}}}]
    written = revision(spec__predictors__0__graph__children__0__modelUri=..., spec__predictors__0__componentSpecs=parts)
    assert read_revisions([view(written)]) == {written.name: written}


@pytest.mark.parametrize(
    "data", ["null", "[]", "{}", "no JSON", "[" * 100_000, '{"predictor": {}, "digests": {}, "image": "x"}']
)
def test_a_record_that_is_none_is_left_out(data: str) -> None:
    assert read_revisions([RevisionView("digits-aaaaaaaa", "uid", 1, data)]) == {}


def test_a_record_that_was_changed_by_hand_is_left_out() -> None:
    known = view(revision())
    changed = RevisionView(known.name, known.uid, 1, known.data.replace("server:1", "evil:1"))
    assert read_revisions([changed]) == {}


def test_old_records_go_and_those_in_use_stay() -> None:
    views = [RevisionView(f"digits-{number:08}", f"uid-{number}", number, "") for number in range(HISTORY + 4)]
    gone = find_old(DEPLOYMENT, views, ["00000000", None, f"{HISTORY + 3:08}"])
    assert [deletion.uid for deletion in gone] == ["uid-1", "uid-2"]


def test_names_of_children_are_short_enough_for_labels_and_host_names() -> None:
    longest = make_deployment(metadata__name="d" * 40, spec__predictors__0__name="p" * 12)
    built = build_revision_children(longest, revision(), 1, Settings())
    # a ReplicaSet's pods append 17 characters at most
    (name,) = [child["metadata"]["name"] for child in built if child["kind"] == "Deployment"]
    assert len(name) <= 63 - 11
    assert all(len(child["metadata"]["name"]) <= 63 for child in built)
    assert len(names.traffic_config_name(names.revision_name(longest, "a" * 8))) <= 63
