"""How a job and its code are created, and what is left when the API server rejects them."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from fairlead.cli.console import CommandError
from fairlead.client import Denied, FairleadClient, FairleadError, NotFound, Rejected, Unreachable
from fairlead_projects.code.create import create
from fairlead_projects.code.files import find_files
from fairlead_projects.code.job import JobOptions, temporary_name
from fairlead_projects.code.objects import Objects, build_objects

from .conftest import Write

Object = dict[str, Any]


class Cluster:
    """The calls that `create` makes, on objects in memory; `errors` are raised for a kind, or for its dry run."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.errors: dict[tuple[str, bool], FairleadError] = {}

    def apply(self, obj: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        if error := self.errors.get((obj["kind"], dry_run)):
            raise error
        key = (obj["kind"], obj["metadata"]["name"])
        if dry_run:
            assert key not in self.objects, "a dry run of what exists is one of a change"
            return dict(obj)
        uid = self.objects.get(key, {}).get("metadata", {}).get("uid") or f"uid-{len(self.objects)}"
        self.objects[key] = {**obj, "metadata": {**obj["metadata"], "uid": uid}}
        return self.objects[key]

    def get(self, kind: str, name: str) -> Object:
        if (kind, name) not in self.objects:
            raise NotFound(name)
        return self.objects[kind, name]

    def delete(self, kind: str, name: str) -> None:
        self.get(kind, name)
        del self.objects[kind, name]

    def wait_until_deleted(self, kind: str, name: str, seconds: float) -> None:
        assert (kind, name) not in self.objects


@pytest.fixture
def objects(write: Write) -> Objects:
    options = JobOptions(name="houses", image="me/train:1", command=["python3", "train.py"])
    return build_objects(options, find_files(write({"train.py": "1"})), None)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def run(cluster: Cluster, objects: Objects, replace: bool = False) -> None:
    create(cast(FairleadClient, cluster), objects, replace)


def test_the_job_owns_its_code(cluster: Cluster, objects: Objects) -> None:
    run(cluster, objects)
    (config_map,) = [obj for (kind, _), obj in cluster.objects.items() if kind == "ConfigMap"]
    (owner,) = config_map["metadata"]["ownerReferences"]
    assert owner["uid"] == cluster.get("TrainingJob", "houses")["metadata"]["uid"]


def test_a_job_of_this_name_is_replaced_only_if_asked(cluster: Cluster, objects: Objects) -> None:
    run(cluster, objects)
    cluster.objects["TrainingJob", "houses"]["metadata"]["uid"] = "old"
    with pytest.raises(CommandError, match=r"TrainingJob houses exists \(new\)"):
        run(cluster, objects)
    assert cluster.get("TrainingJob", "houses")["metadata"]["uid"] == "old"
    run(cluster, objects, replace=True)
    assert cluster.get("TrainingJob", "houses")["metadata"]["uid"] != "old"
    assert len(cluster.objects) == 2


def test_a_job_stays_if_the_one_that_would_replace_it_is_rejected(cluster: Cluster, objects: Objects) -> None:
    run(cluster, objects)
    before = dict(cluster.objects)
    cluster.errors["TrainingJob", True] = Rejected("by a policy")
    with pytest.raises(Rejected, match="by a policy"):
        run(cluster, objects, replace=True)
    assert cluster.objects == before


def test_a_quota_with_room_for_one_job_is_no_obstacle_to_its_replacement(cluster: Cluster, objects: Objects) -> None:
    run(cluster, objects)
    cluster.objects["TrainingJob", "houses"]["metadata"]["uid"] = "old"
    cluster.errors["TrainingJob", True] = Denied("403: exceeded quota: jobs")
    run(cluster, objects, replace=True)
    assert cluster.get("TrainingJob", "houses")["metadata"]["uid"] != "old"


def test_code_of_a_job_that_is_rejected_is_deleted(cluster: Cluster, objects: Objects) -> None:
    cluster.errors["TrainingJob", False] = Rejected("exceeded quota")
    with pytest.raises(Rejected, match="exceeded quota"):
        run(cluster, objects)
    assert not cluster.objects


def test_code_of_a_job_that_may_have_been_created_stays(cluster: Cluster, objects: Objects) -> None:
    cluster.errors["TrainingJob", False] = Unreachable("no response")
    with pytest.raises(Unreachable):
        run(cluster, objects)
    assert [kind for kind, _ in cluster.objects] == ["ConfigMap"]


def test_a_temporary_name_is_nobody_elses_and_valid() -> None:
    first, second = temporary_name("x" * 50, "check"), temporary_name("x" * 50, "check")
    assert first != second
    assert len(first) == len(second) == 50
    assert temporary_name("houses", "new").startswith("houses-new-")
