"""A device that is killed at each step of an update: it answers with a release that verifies, before and after."""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fairlead_edge.device.folder import Folder
from fairlead_edge.device.installing import Trust, install
from fairlead_edge.device.keeper import Settings
from fairlead_edge.device.serving import serve_device
from fairlead_edge.device.slots import Release as Slot
from fairlead_edge.server import DEFAULTS

from tests.support.edge_devices import Device, Release, publish_release
from tests.support.edge_rounds import ROUNDS
from tests.support.killing import run_killed, start_killed

TIMES = int(os.environ.get(ROUNDS, "1"))
"""How many times each step is tried."""


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Release, Release]:
    return publish_release(tmp_path / "store", 1), publish_release(tmp_path / "store", 2)


@pytest.fixture
def device(tmp_path: Path, releases: tuple[Release, Release]) -> Iterator[Device]:
    """Return a device that has confirmed the first release."""
    device = Device(tmp_path / "state", tmp_path / "server.log")
    device.install(releases[0])
    device.start(probation=0.1)
    device.wait_settled()
    yield device
    device.stop()


def update(state: Path, release: Release) -> None:
    install(Folder(state), release.uri, Trust(release.digest))


def test_an_installation_killed_at_any_step_offers_a_whole_release_or_none(
    device: Device, releases: tuple[Release, Release], tmp_path: Path
) -> None:
    one, two = releases
    device.stop()  # otherwise, it would run what is offered
    fresh = Path(shutil.copytree(device.state, tmp_path / "fresh"))
    steps = 0
    for step in itertools.count():
        killed = []
        for _ in range(TIMES):
            shutil.rmtree(device.state)
            shutil.copytree(fresh, device.state)
            killed.append(run_killed(partial(update, device.state, two), step))
            folder = Folder(device.state)
            slots, offer = folder.read_slots(), folder.read_offer()
            assert slots is not None
            assert slots.good == Slot(one.digest, 1)
            assert folder.open(one.digest).digest == one.digest
            assert offer is not None
            assert offer.release.digest in (one.digest, two.digest)
            assert folder.open(offer.release.digest).digest == offer.release.digest
            update(device.state, two)  # the next one succeeds, whatever the first has left
            offer = folder.read_offer()
            assert offer is not None
            assert offer.release == Slot(two.digest, 2)
        if not any(killed):
            break
        steps += 1
    report("the installation", steps)
    assert steps >= 10, steps
    device.start(probation=0.1)
    device.wait(two, [one])


def test_a_server_killed_at_any_step_of_a_trial_answers_again_with_a_release_that_verifies(
    device: Device, releases: tuple[Release, Release], tmp_path: Path
) -> None:
    one, two = releases
    device.stop()
    update(device.state, two)
    fresh = Path(shutil.copytree(device.state, tmp_path / "fresh"))
    steps = 0
    for step in itertools.count():
        killed = False
        for _ in range(TIMES):
            shutil.rmtree(device.state)
            shutil.copytree(fresh, device.state)
            killed = serve_killed(device, step)
            assert folder_has_a_good_release(device.state, releases)
            device.start(probation=0.1)
            device.wait_until(lambda: device.find_answering(releases) is not None, "does not answer")
            device.wait(two, [one])
            slots = device.wait_settled()
            assert slots.good == Slot(two.digest, 2)
            device.stop()
        if not killed:
            break
        steps += 1
    report("the server", steps)
    assert steps >= 4, steps


def report(program: str, steps: int) -> None:
    print(f"{program}: killed at each of {steps} steps, {TIMES} times")


def serve_killed(device: Device, step: int) -> bool:
    """Serve in a process that is killed at a step; return False if the trial has ended before that."""
    settings = Settings(probation_seconds=0.1)

    def serve() -> None:
        asyncio.run(serve_device(Folder(device.state), "127.0.0.1", device.port, DEFAULTS, settings, None))

    process = start_killed(serve, step)
    while process.exitcode is None:
        process.join(0.05)
        slots = device.read()
        if slots.candidate is None and slots.handled == 2 and not list(device.state.glob("incoming*")):
            process.join(0.2)
            break
    killed = process.exitcode is not None
    process.kill()
    process.join()
    return killed


def folder_has_a_good_release(state: Path, releases: tuple[Release, Release]) -> bool:
    folder = Folder(state)
    slots = folder.read_slots()
    assert slots is not None
    assert slots.good is not None
    return folder.open(slots.good.digest).digest in {release.digest for release in releases}
