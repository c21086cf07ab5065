"""Address ranges of the local clusters on one machine do not collide."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from fairlead_cluster.base.daemons import ProcessId
from fairlead_cluster.base.errors import ClusterError
from fairlead_cluster.local.slots import SLOTS, check_slot, claim_slot


def make_cluster(folder: Path, *, running: bool) -> Path:
    """Make the files of a cluster; a running one is this process."""
    (folder / "processes").mkdir(parents=True)
    (folder / "settings.json").touch()
    if running:
        record = json.dumps(asdict(ProcessId.of(os.getpid())))
        (folder / "processes" / "kube-apiserver.json").write_text(record)
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def test_every_cluster_gets_its_own_slot_until_all_run(tmp_path: Path, notes: Path) -> None:
    found = [claim_slot(make_cluster(tmp_path / str(index), running=True), notes) for index in range(SLOTS)]
    assert sorted(found) == list(range(SLOTS))
    with pytest.raises(ClusterError, match="32 local clusters run on this machine"):
        claim_slot(tmp_path / "one more", notes)


def test_a_slot_of_a_deleted_cluster_is_free_and_a_stopped_one_keeps_its_own_while_others_are_free(
    tmp_path: Path, notes: Path
) -> None:
    stopped = make_cluster(tmp_path / "0", running=False)
    slots = {claim_slot(stopped, notes)}
    slots |= {claim_slot(make_cluster(tmp_path / str(index), running=True), notes) for index in range(1, SLOTS - 1)}
    deleted = tmp_path / "deleted"
    assert claim_slot(deleted, notes) not in slots  # it has no files
    (last,) = set(range(SLOTS)) - slots
    assert claim_slot(make_cluster(tmp_path / "last", running=True), notes) == last
    assert claim_slot(tmp_path / "next", notes) == claim_slot(stopped, notes)


def test_a_stopped_cluster_whose_slot_is_in_use_does_not_start(tmp_path: Path, notes: Path) -> None:
    stopped = make_cluster(tmp_path / "stopped", running=False)
    slot = claim_slot(stopped, notes)
    check_slot(slot, stopped, notes)
    other = make_cluster(tmp_path / "other", running=True)
    (notes / f"fairlead-slot-{slot}").write_text(str(other))
    with pytest.raises(ClusterError, match=f"the cluster in {other} uses the address range of this one"):
        check_slot(slot, stopped, notes)
