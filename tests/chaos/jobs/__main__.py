"""Let one fault after another hit jobs that train: each must end as it should, and say what was wrong.

A local cluster runs a job for each fault: two processes with a dataset, checkpoints and a model in an object store
(MinIO). The fault begins before the job's creation, when its pods exist, in the middle of its training or at its last
step, and ends some seconds later. Afterwards the job must have succeeded (but for faults that nothing can undo), with
no more restarts than the fault explains, without a step that a checkpoint had and that was done again, and with a model
that can be read; and one of its conditions must have named the cause within 15 s. Prints a table and every finding;
exits 1 if there is one.
"""

import argparse
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

from fairlead_artifacts import publish

from tests.chaos.jobs.faults import FAULTS, Fault
from tests.chaos.jobs.job import DATASET, build_secret
from tests.chaos.jobs.life import Life
from tests.chaos.jobs.stage import Stage, small_disk
from tests.chaos.jobs.store import ObjectStore, started_store
from tests.chaos.workers.__main__ import keep_logs
from tests.local.support import LocalCluster, started_cluster

KINDS = ("fixed", "elastic")


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.jobs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of jobs (default: %(default)s)")
    parser.add_argument("--faults", help="names of faults, separated by commas (default: all)")
    parser.add_argument("--keep", action="store_true", help="keep the logs also where all is well")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if options.faults is None or fault.name in options.faults.split(",")]
    # end the cluster on every signal
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="fairlead-chaos-"))
    code = 1
    try:
        with started_stage(folder) as (cluster, store):
            try:
                code = run(cluster, store, folder, options.kinds.split(","), chosen)
            finally:
                keep_logs(cluster, folder)
    finally:
        if code == 0 and not options.keep:
            shutil.rmtree(folder)
        else:
            sys.stderr.write(f"the logs: {folder}\n")
    return code


@contextmanager
def started_stage(folder: Path) -> Iterator[tuple[LocalCluster, ObjectStore]]:
    """Run a store and a cluster whose operator and jobs use it during the block."""
    with started_store(folder) as store:
        # the operator backs off for 2 s instead of 10 before it restarts a job, so that a life is short
        settings = store.variables() | {"FAIRLEAD_RESTART_SECONDS": "2"}
        with mock.patch.dict(os.environ, settings), started_cluster(folder / "home") as cluster:
            (folder / "data").mkdir()
            (folder / "data" / "rows.csv").write_text("x\n1\n")
            publish(folder / "data", DATASET, kind="dataset", producer="chaos/1")
            cluster.apply(build_secret(store.variables()))
            with small_disk(cluster) if os.getuid() == 0 else nullcontext():
                yield cluster, store


def run(cluster: LocalCluster, store: ObjectStore, folder: Path, kinds: Sequence[str], faults: Sequence[Fault]) -> int:
    """Run the lives and print what happened; return the exit code."""
    lives: list[Life] = []
    try:
        for kind, fault in itertools.product(kinds, faults):
            if fault.name == "disk full" and os.getuid() != 0:
                sys.stderr.write("disk full: left out, because only root can mount a small disk\n")
                continue
            name = f"{kind}-{len(lives)}"
            life = Life(Stage(cluster, store, name), fault, kind == "elastic", folder / name)
            lives.append(life)
            life.run()
            store.valve.turn("open")
            verdict = "; ".join(life.problems) or "well"
            sys.stderr.write(f"{kind}: {fault.name} {fault.when}: {life.seconds:.0f} s, {verdict}\n")
    finally:
        # also of what was interrupted
        code = print_report(lives)
    return code


def print_report(lives: Sequence[Life]) -> int:
    """Print the table and the findings."""
    sys.stdout.write("| job | fault | end | restarts | steps repeated | named after | s |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- | --- |\n")
    for life in lives:
        status = life.job.get("status", {})
        named = "" if life.named_after is None else f"{life.named_after:.1f} s: {life.named[:120]}"
        cells = (
            "elastic" if life.elastic else "fixed",
            f"{life.fault.name} {life.fault.when}",
            status.get("phase", ""),
            str(status.get("workers", {}).get("restarts", 0)),
            str(life.account.repeated) if life.account else "",
            " ".join(named.replace("|", "/").split()),
            f"{life.seconds:.0f}",
        )
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
    findings = [(life, problem) for life in lives for problem in life.problems]
    for life, problem in findings:
        kind = "elastic" if life.elastic else "fixed"
        sys.stdout.write(f"finding: {kind}: {life.fault.name} {life.fault.when}: {problem}\n")
    sys.stdout.write(f"{len(findings)} findings\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
