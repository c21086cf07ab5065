"""What `fairlead kind` may delete: only what this home made."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fairlead_cluster.base.daemons import Daemons
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import Home
from fairlead_cluster.kind.cluster import Cluster
from fairlead_cluster.kind.ownership import (
    NodeFacts,
    Record,
    is_ours,
    may_remove_network,
    read_nodes,
    read_record,
)

INSPECTED = """[
 {"Id": "3f1c", "Created": "2026-11-25T01:02:03.123456789Z", "Name": "/fairlead-control-plane", "Path": "x"},
 {"Id": "9ab2", "Created": "2026-11-25T01:02:04.5Z", "Name": "/fairlead-worker", "Path": "x"}
]"""
NODES = read_nodes(INSPECTED)
BEGAN = datetime(2026, 11, 25, 1, 2, 0, tzinfo=UTC)


def test_nodes_are_read_from_docker() -> None:
    assert [(node.id, node.name) for node in NODES] == [("3f1c", "fairlead-control-plane"), ("9ab2", "fairlead-worker")]
    assert NODES[1].created == datetime(2026, 11, 25, 1, 2, 4, 500_000, tzinfo=UTC)
    assert read_nodes("") == []


@pytest.mark.parametrize(
    ("record", "nodes", "ours", "reason"),
    [
        (Record(BEGAN, True, ("3f1c", "9ab2")), NODES, True, "the nodes that it noted"),
        (Record(BEGAN, True, ("3f1c", "9ab2")), NODES[:1], True, "one was deleted by hand"),
        (None, NODES, False, "another home's, or the user's"),
        (Record(BEGAN, True, ("other",)), NODES, False, "made again by another home"),
        (Record(BEGAN, True, ("3f1c",)), NODES, False, "one of them is not noted"),
        (Record(BEGAN, True), NODES, True, "its creation was cut off"),
        (Record(BEGAN + timedelta(hours=1), True), NODES, False, "older than its own creation"),
    ],
)
def test_a_cluster_belongs_to_the_home_that_made_it(
    record: Record | None, nodes: list[NodeFacts], ours: bool, reason: str
) -> None:
    assert is_ours(record, nodes) == ours, reason


def test_a_cluster_that_another_home_made_in_our_engine_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    inspected = tmp_path / "inspected.json"
    inspected.write_text(INSPECTED)
    docker.write_text(f'#!/bin/sh\n[ "$1" = inspect ] && exec cat {inspected}\necho fairlead-control-plane\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    home = Home(tmp_path / "home")
    engine = Daemons(home.root / "engine", detached=False)
    engine.start("dockerd", ["sleep", "600"])
    try:
        with pytest.raises(SetupError, match="did not make"):
            Cluster(home).check_ours()
    finally:
        engine.stop(["dockerd"], 5)


def test_the_network_stays_while_any_container_needs_it_and_if_it_was_there_before() -> None:
    record = Record(BEGAN, made_network=True)
    assert may_remove_network(record, [])
    assert not may_remove_network(record, ["a container that is stopped"])
    assert not may_remove_network(replace(record, made_network=False), [])
    assert not may_remove_network(None, [])


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record(BEGAN, True, ("3f1c",))
    assert read_record(json.dumps(asdict(record), default=str)) == record
