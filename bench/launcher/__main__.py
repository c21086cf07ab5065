"""Measure a launcher that 512 simulated workers report to: `make bench BENCH=launcher`."""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fairlead_contracts.environment import LAUNCHER_PORT, TimingEnvironment
from fairlead_trainer.settings import Timing

from .agents import Fleet, new_key

_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the launcher's CPU time, memory and slowest answer while all workers send heartbeats."""
    parser = argparse.ArgumentParser(prog="bench.launcher", description=__doc__)
    parser.add_argument("--workers", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        timing = Timing.from_environment(TimingEnvironment.from_environment(os.environ), options.workers)
        print(f"{options.workers} workers, each with a heartbeat every {timing.heartbeat:.1f} s")
        key = new_key()
        Path(folder, "key").write_text(key)
        launcher = _start(Path(folder), options.workers)
        try:
            asyncio.run(
                _measure(
                    launcher.pid,
                    Fleet("127.0.0.1", LAUNCHER_PORT, bytes.fromhex(key), options.workers, timing.heartbeat),
                    options.seconds,
                )
            )
            return launcher.wait(60)
        finally:
            launcher.kill()
            launcher.wait()


def _start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    variables = {
        "FAIRLEAD_JOB": "bench",
        "FAIRLEAD_ATTEMPT": "0",
        "FAIRLEAD_KEY_FILE": str(folder / "key"),
        "FAIRLEAD_TERMINATION_LOG": str(folder / "report"),
        "FAIRLEAD_WORKERS": str(workers),
        "FAIRLEAD_SLOTS": "1",
        "FAIRLEAD_BACKEND": "horovod",
        "FAIRLEAD_BIND_ADDRESS": "127.0.0.1",
        "POD_IP": "127.0.0.1",
    }
    program = Path(sys.executable).with_name("fairlead-launcher")
    return subprocess.Popen([program], env=os.environ | variables)


async def _measure(pid: int, fleet: Fleet, seconds: float) -> None:
    await _connect(fleet)
    started = time.monotonic()
    await fleet.register()
    print(f"registration: {time.monotonic() - started:.1f} s, {_cpu(pid):.2f} s of CPU time")
    before, started = _cpu(pid), time.monotonic()
    await fleet.beat(seconds)
    elapsed = time.monotonic() - started
    used = _cpu(pid) - before
    print(f"heartbeats: {fleet.answered / elapsed:.0f} a second, {100 * used / elapsed:.1f} % of a core")
    print(f"slowest answer: {1000 * fleet.slowest:.0f} ms, memory: {_memory(pid):.0f} MiB")
    await fleet.finish()


async def _connect(fleet: Fleet) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(fleet.host, fleet.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise RuntimeError("the launcher does not listen")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


if __name__ == "__main__":
    sys.exit(main())
