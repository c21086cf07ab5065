"""Background processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from fairlead_cluster.base.daemons import Daemons, ProcessId, tail

_PARENT = """
import sys, time, pathlib
from fairlead_cluster.base.daemons import Daemons
daemons = Daemons(pathlib.Path(sys.argv[1]), detached=sys.argv[2] == "detached")
print(daemons.start("sleep", ["sleep", "60"]).pid, flush=True)
time.sleep(60)
"""


def _start_through_a_parent_that_is_killed(folder: Path, kind: str) -> ProcessId:
    with subprocess.Popen([sys.executable, "-c", _PARENT, folder, kind], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        process = ProcessId.of(int(parent.stdout.readline()))
        parent.kill()
    return process


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    assert _start_through_a_parent_that_is_killed(tmp_path, "attached").wait(5)


def test_detached_processes_outlive_their_parent_and_are_found_again(tmp_path: Path) -> None:
    process = _start_through_a_parent_that_is_killed(tmp_path, "detached")
    daemons = Daemons(tmp_path, detached=True)
    try:
        time.sleep(0.2)
        assert daemons.find("sleep") == process
    finally:
        daemons.stop(["sleep"], grace_seconds=5)
    assert daemons.find("sleep") is None and not process.alive


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path, detached=False)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = daemons.start("stubborn", [sys.executable, "-c", code])
    while "up" not in tail(daemons.log("stubborn")):
        time.sleep(0.02)
    daemons.stop(["stubborn"], grace_seconds=0.2)
    assert not process.alive


def test_a_reused_process_id_is_not_mistaken_for_ours() -> None:
    me = ProcessId.of(subprocess.Popen(["true"]).pid)
    assert me.wait(5)
    impostor = ProcessId(1, started=me.started + 12345)
    assert not impostor.alive
    impostor.signal(signal.SIGTERM)  # must not reach process 1


def test_a_tail_is_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{number}\n" for number in range(100)))
    assert tail(path, 2) == "98\n99"
    assert tail(tmp_path / "missing") == ""
