"""A device: releases are installed, tested, confirmed or rejected, and the good one always answers."""

import dataclasses
import json
import platform
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fairlead_artifacts.signing import make_keys
from fairlead_edge.device.folder import Folder
from fairlead_edge.device.slots import Offer, Slots
from fairlead_edge.device.slots import Release as Slot

from tests.support import networks
from tests.support.edge_devices import Device, publish_release


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """Return a device whose server is ended after the test."""
    device = Device(tmp_path / "state", tmp_path / "server.log")
    yield device
    device.stop()


def test_a_release_is_tested_answers_and_is_confirmed(device: Device, store: Path) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.start()
    assert device.install(one).returncode == 0
    device.wait(one)
    device.wait_settled()
    run = device.install(two)
    assert (run.returncode, run.stdout) == (0, f"offered version 2 ({two.digest})\n")
    device.wait(two, [one])
    state = device.wait_settled()
    assert state == Slots(Slot(two.digest, 2), Slot(one.digest, 1), handled=2, floor=2)
    assert device.run("status").stdout.splitlines() == [
        f"serving   version 2 ({two.digest})",
        f"before    version 1 ({one.digest})",
        "on trial  none",
    ]
    assert json.loads(device.run("status", "--json").stdout)["good"] == {"digest": two.digest, "version": 2}


def test_a_device_answers_with_its_good_release_after_a_restart(device: Device, store: Path) -> None:
    one = publish_release(store, 1)
    device.install(one)
    device.start()
    device.wait_settled()
    device.stop()
    shutil.rmtree(store)  # it needs no network
    device.start()
    device.wait(one)


def test_a_release_that_answers_otherwise_than_when_it_was_built_is_rejected(device: Device, store: Path) -> None:
    one = publish_release(store, 1)
    wrong = publish_release(store, 2, model=networks.network(networks.make_weights(9)))
    device.install(one)
    device.start()
    device.wait_settled()
    device.install(wrong)
    state = device.wait_settled()
    assert state.good == Slot(one.digest, 1)
    assert state.rejected is not None
    assert state.rejected.release == Slot(wrong.digest, 2)
    assert state.rejected.reason.startswith("self-test: output 0: the mean difference is")
    assert device.find_answering([one]) is one
    device.wait_until(lambda: not Folder(device.state).place(wrong.digest).exists(), "is not removed")


def test_a_release_that_does_not_load_is_rejected(device: Device, store: Path) -> None:
    one, broken = publish_release(store, 1), publish_release(store, 2, model=b"no model")
    device.install(one)
    device.start()
    device.wait_settled()
    device.install(broken)
    rejected = device.wait_settled().rejected
    assert rejected is not None
    assert "cannot load the model" in rejected.reason
    assert device.find_answering([one]) is one


def test_a_rollback_returns_to_the_release_before(device: Device, store: Path) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.start()
    for release in (one, two):
        device.install(release)
        device.wait_settled()
    assert device.run("roll-back").stdout == f"offered version 1 ({one.digest})\n"
    device.wait(one, [two])
    device.wait_settled()
    device.install(two)  # it is newer than what runs now
    device.wait(two, [one])


def test_without_a_release_before_there_is_no_rollback(device: Device) -> None:
    run = device.run("roll-back")
    assert (run.returncode, run.stderr) == (1, "fairlead-edge: there is no release before the one that runs\n")


def test_a_release_whose_bytes_have_changed_on_the_disk_is_replaced_by_the_one_before(
    device: Device, store: Path
) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.start()
    for release in (one, two):
        device.install(release)
        device.wait_settled()
    device.stop()
    file = Folder(device.state).place(two.digest) / "model.onnx"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    device.start()
    device.wait(one)
    assert device.install(two).returncode == 0  # fetched again, because what is there is damaged
    device.wait(two, [one])


SMALL_FILES = ["slots.json", "slots.copy.json", "offer.json"]


@pytest.mark.parametrize("names", [*([name] for name in SMALL_FILES), SMALL_FILES], ids=[*SMALL_FILES, "all"])
def test_damaged_small_files_do_not_keep_a_device_from_answering(device: Device, store: Path, names: list[str]) -> None:
    one, wrong = publish_release(store, 1), publish_release(store, 2, model=networks.network(networks.make_weights(9)))
    device.install(one)
    device.start()
    device.wait_settled()
    device.stop()
    device.install(wrong)  # not tried yet
    for name in names:
        (device.state / name).write_bytes(b"\0" * 100)
    device.start()
    device.wait(one)  # and never the wrong one, which does not stand its self-test
    three = publish_release(store, 3)
    assert device.install(three).returncode == 0
    device.wait(three, [one])


def test_an_offer_after_a_damaged_one_during_a_trial_is_not_overlooked(device: Device, store: Path) -> None:
    one, two, three = (publish_release(store, number) for number in (1, 2, 3))
    device.install(one)
    device.start()
    device.wait_settled()
    device.stop()
    device.install(two)
    device.start(probation=60)
    device.wait(two, [one])
    (device.state / "offer.json").write_bytes(b"\0" * 100)
    assert device.install(three).returncode == 0  # the trial ends for it
    device.wait(three, [one, two])


def test_a_rollback_during_a_probation_returns_to_the_good_release(device: Device, store: Path) -> None:
    one, two, three = (publish_release(store, number) for number in (1, 2, 3))
    device.start()
    for release in (one, two):
        device.install(release)
        device.wait_settled()
    device.stop()
    device.install(three)
    device.start(probation=60)
    device.wait(three, [two])
    assert device.run("roll-back").stdout == f"offered version 2 ({two.digest})\n"
    device.wait(two, [three])
    rejected = device.read().rejected
    assert rejected is not None
    assert (rejected.release.version, "another offer came" in rejected.reason) == (3, True)


def test_a_request_in_flight_at_the_end_of_the_server_rejects_no_candidate(device: Device, store: Path) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.install(one)
    device.start()
    device.wait_settled()
    device.stop()
    device.install(two)
    device.start(probation=60, variables={"FAIRLEAD_GRACE_SECONDS": "0.5"})
    device.wait(two, [one])
    with socket.create_connection(("127.0.0.1", device.port)) as client:
        client.sendall(b"POST /v2/models/wind/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        assert device.process is not None
        device.process.terminate()
        assert device.process.wait(30) == 0
    state = device.read()
    assert state.rejected is None
    assert state.candidate is not None
    assert (state.good, state.candidate.release) == (Slot(one.digest, 1), Slot(two.digest, 2))


def test_a_good_release_that_cannot_be_loaded_for_a_while_is_not_given_up(device: Device, store: Path) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.start()
    for release in (one, two):
        device.install(release)
        device.wait_settled()
    device.stop()
    before = device.read()
    device.start(variables={"FAIRLEAD_LOAD_TIMEOUT_SECONDS": "0.01"})
    device.wait_until(lambda: device.log.read_text().count("the model cannot be loaded") >= 4, "does not fail")
    assert device.read() == before
    device.stop()
    device.start()
    device.wait(two)


def test_a_rejected_release_leaves_nothing_on_the_disk(device: Device, store: Path) -> None:
    one = publish_release(store, 1)
    device.install(one)
    device.start()
    device.wait_settled()
    kept = sorted(path.name for path in (device.state / "bundles").iterdir())
    for number in (2, 3):
        assert device.install(publish_release(store, number, architectures=("s390x",))).returncode == 2
    assert sorted(path.name for path in (device.state / "bundles").iterdir()) == kept


def test_trouble_with_telemetry_does_not_keep_a_device_from_answering(device: Device, store: Path) -> None:
    one = publish_release(store, 1)
    device.install(one)
    (device.state / "telemetry").write_text("no folder")
    device.start()
    device.wait(one)


def test_the_status_of_another_folder_is_no_devices(device: Device, tmp_path: Path) -> None:
    run = dataclasses.replace(device, state=tmp_path / "typo").run("status")
    assert (run.returncode, "is no device's folder" in run.stderr) == (1, True)
    assert not (tmp_path / "typo").exists()


def test_on_a_full_disk_the_good_release_answers_and_the_update_waits(device: Device, store: Path) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.install(one)
    device.start()
    before = device.wait_settled()
    device.stop()
    run = device.run("install", "--bundle", two.uri, "--digest", two.digest, full=True)
    assert (run.returncode, "File too large" in run.stderr) == (1, True), run.stderr
    assert Folder(device.state).read_offer() == Offer(1, Slot(one.digest, 1))
    assert device.install(two).returncode == 0
    blocked = device.state / ".slots.json"  # where the state is written before it is renamed
    blocked.mkdir()
    device.start()
    device.wait(one)
    device.wait_until(lambda: "the state cannot be written" in device.log.read_text(), "writes its state")
    assert device.find_answering([one]) is one
    assert device.read() == before  # a trial that cannot be counted does not begin
    blocked.rmdir()
    device.wait(two, [one])


def test_a_server_that_is_asked_to_end_during_a_trial_does_not_count_it(device: Device, store: Path) -> None:
    one, two = publish_release(store, 1), publish_release(store, 2)
    device.install(one)
    device.start()
    device.wait_settled()
    device.stop()
    device.install(two)
    for _ in range(5):
        device.start(probation=60)
        device.wait(two, [one])
        assert device.process is not None
        device.process.terminate()
        assert device.process.wait(30) == 0
        assert device.read().attempts == 0
    device.start()
    assert device.wait_settled().good == Slot(two.digest, 2)


REJECTED = [
    ({"target": "onnx-int4"}, "target: got 'onnx-int4', expected one of onnx,"),
    ({"architectures": ("s390x",)}, f"architectures: got s390x, expected {platform.machine()}"),
    ({"name": "waves"}, "name: got 'waves', expected 'wind', which this device serves"),
]


@pytest.mark.parametrize(("changes", "problem"), REJECTED, ids=[problem[:12] for _, problem in REJECTED])
def test_a_release_for_another_device_is_not_installed(
    device: Device, store: Path, changes: dict[str, object], problem: str
) -> None:
    good = publish_release(store, 5)
    device.install(good)
    device.start()
    before = device.wait_settled()
    other = publish_release(store, 6, **changes)
    run = device.install(other)
    assert (run.returncode, problem in run.stderr) == (2, True), run.stderr
    assert device.read() == before


def test_an_older_release_is_installed_only_if_that_is_allowed(device: Device, store: Path) -> None:
    two, one = publish_release(store, 2), publish_release(store, 1)
    device.install(two)
    device.start()
    device.wait_settled()
    run = device.install(one)
    assert (run.returncode, "version: got 1, expected at least 2, which this device has run" in run.stderr) == (2, True)
    assert device.install(one, "--allow-older").returncode == 0
    device.wait(one, [two])


def test_only_a_signed_release_is_installed_if_a_key_is_given(
    device: Device, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_keys(tmp_path / "keys")
    unsigned = publish_release(store, 1)
    run = device.run("install", "--bundle", unsigned.uri, "--public-key", str(public))
    assert (run.returncode, "has no signature" in run.stderr) == (2, True), run.stderr
    monkeypatch.setenv("FAIRLEAD_SIGNING_KEY_FILE", str(private))
    signed = publish_release(store, 2)
    monkeypatch.delenv("FAIRLEAD_SIGNING_KEY_FILE")
    assert device.run("install", "--bundle", signed.uri, "--public-key", str(public)).returncode == 0
    run = device.run("install", "--bundle", signed.uri)
    assert "got neither a digest nor a public key" in run.stderr
    other = dataclasses.replace(signed, digest=unsigned.digest)
    run = device.install(other)
    assert (run.returncode, f"expected {unsigned.digest}" in run.stderr) == (2, True)


def test_one_server_and_one_installation_use_a_folder_at_a_time(device: Device, store: Path) -> None:
    one = publish_release(store, 1)
    device.install(one)
    device.start()
    device.wait(one)
    run = device.run("serve", "--port", "1")
    assert (run.returncode, "another server serves this folder" in run.stderr) == (1, True)
    lock = Folder(device.state).lock("install")
    assert lock is not None
    assert "another installation is in progress" in device.install(one).stderr
    lock.close()
