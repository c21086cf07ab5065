"""The reader of a cluster's objects."""

from typing import Any

import pytest
from fairlead.client.errors import NotFound

from tests.support.reader import _Reader

PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "shortNames": ["po"]}
JOBS = {"name": "mpijobs", "singularName": "mpijob", "namespaced": True}


class Cluster:
    """An API server on which a CRD was just created: its group is listed before its kinds are served."""

    def __init__(self) -> None:
        self.served = False

    def read(self, path: str) -> dict[str, Any]:
        if path == "/apis":
            return {"groups": [{"preferredVersion": {"groupVersion": "kubeflow.org/v2beta1"}}]}
        if path == "/api/v1":
            return {"resources": [PODS]}
        if path == "/apis/kubeflow.org/v2beta1":
            if not self.served:
                raise NotFound(f"{path}: 404: 404 page not found")
            return {"resources": [JOBS]}
        return {"path": path}


def test_a_group_whose_kinds_are_not_served_yet_hides_no_other_kind() -> None:
    cluster = Cluster()
    reader = _Reader(cluster)  # type: ignore[arg-type]
    assert reader.fetch("po", "default", "") == {"path": "/api/v1/namespaces/default/pods"}
    # as for an object that does not exist yet: whoever waits for it looks again
    with pytest.raises(NotFound, match=r"kubeflow\.org/v2beta1 is listed and not served yet"):
        reader.fetch("mpijob", "default", "/a")
    cluster.served = True
    assert reader.fetch("mpijob", "default", "/a")["path"] == "/apis/kubeflow.org/v2beta1/namespaces/default/mpijobs/a"
