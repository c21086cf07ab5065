"""SIGKILL the operator at random times of the example: the final state is that of an undisturbed run."""

import os
import random
import threading
from pathlib import Path

from tests.e2e.conftest import NAMESPACE
from tests.e2e.digits import Digits
from tests.support.api_server import Kubectl, Object
from tests.support.kind import kill_operator

KILLS = int(os.environ.get("KILLS", "4"))
"""As many as one life of the example has room for; more take more lives."""
SEED = 20261122


class Killer(threading.Thread):
    """Kills the operator repeatedly until the count is reached or it is stopped."""

    def __init__(self, kubectl: Kubectl) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self.stopping = threading.Event()
        self._kubectl = kubectl
        self._random = random.Random(SEED)

    def run(self) -> None:
        while self.kills < KILLS and not self.stopping.wait(self._random.uniform(1, 9)):
            self.kills += kill_operator(self._kubectl)


def live_through(kubectl: Kubectl, name: str, folder: Path) -> Object:
    digits = Digits(kubectl, NAMESPACE, name)
    dataset = digits.make_dataset()
    digits.apply_job(dataset)
    digits.validate(dataset)
    job = digits.wait_for_job(600)
    digits.serve(*digits.convert(dataset, job), seconds=300)
    assert digits.measure(dataset, folder)["accuracy"] >= 0.95
    state = digits.end_state()
    kubectl("delete", f"tj/{name}", f"mdep/{name}", "-n", NAMESPACE)
    return state


def test_kills_do_not_change_the_final_state(kubectl: Kubectl, undisturbed: Object, tmp_path: Path) -> None:
    killer = Killer(kubectl)
    killer.start()
    lives = 0
    try:
        while killer.kills < KILLS:
            lives += 1
            assert live_through(kubectl, f"killed-{lives}", tmp_path) == undisturbed
    finally:
        killer.stopping.set()
        killer.join()
    print(f"{killer.kills} kills in {lives} lives")
