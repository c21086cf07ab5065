"""Kill a random worker of an elastic job again and again: it must finish, and its lost steps must add up.

A local cluster runs a job of four workers. Every --period seconds one of them is lost in one of four ways. The
trainings log each step, commit and restart. Afterwards the job must have succeeded without a restart, and the logs must
agree with its status: as many steps were repeated as status.elastic.lostSteps says, no committed step was lost or done
by two processes at once, and never fewer than minReplicas trained. Prints a table and every finding; exits 1 if there
is one.
"""

import argparse
import contextlib
import shutil
import signal
import statistics
import sys
import tempfile
from pathlib import Path

from tests.chaos.workers.campaign import Campaign
from tests.chaos.workers.job import LAUNCHERS
from tests.chaos.workers.kills import WAYS
from tests.chaos.workers.ledger import Account, find_recovery
from tests.local.support import LocalCluster, started_cluster


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.workers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--launcher", choices=LAUNCHERS, default="Horovod")
    parser.add_argument("--minutes", type=float, default=5.0, help="for how long workers are killed (default: 5)")
    parser.add_argument("--period", type=float, default=20.0, help="seconds between two losses (default: 20)")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds that a step takes at least (default: 0.25)")
    parser.add_argument("--leave-seconds", type=float, help="FAIRLEAD_LEAVE_SECONDS of the job (default: unset)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the logs also where all is well")
    options = parser.parse_args()
    # end the cluster on every signal
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="fairlead-chaos-"))
    (folder / "steps").mkdir()
    code = 1
    try:
        with started_cluster(folder / "home") as cluster:
            try:
                code = run(Campaign(cluster, folder, options))
            finally:
                keep_logs(cluster, folder)
    finally:
        if code == 0 and not options.keep:
            shutil.rmtree(folder)
        else:
            sys.stderr.write(f"the logs: {folder}\n")
    return code


def keep_logs(cluster: LocalCluster, folder: Path) -> None:
    """Copy the logs of the cluster and of its pods, which end with it; a pod may go meanwhile."""

    def others(path: str, names: list[str]) -> list[str]:
        return [name for name in names if not Path(path, name).is_dir() and not name.endswith(".log")]

    with contextlib.suppress(shutil.Error):  # raised at the end, for all files that could not be copied
        shutil.copytree(cluster.home / "cluster", folder / "logs", ignore=others)


def run(campaign: Campaign) -> int:
    """Run a campaign and print what happened; return the exit code."""
    try:
        campaign.run()
    except AssertionError as error:
        campaign.problems.append(str(error))
    account = campaign.check()
    print_report(campaign, account)
    return 1 if campaign.problems else 0


def print_report(campaign: Campaign, account: Account) -> None:
    """Print the table of losses, the account, and the findings."""
    entries = campaign.entries()
    sys.stdout.write("| a worker's | losses | seconds to the next step: median, longest |\n| --- | --- | --- |\n")
    for way in WAYS:
        losses = [loss for loss in campaign.losses if loss.way == way]
        seconds = [found for loss in losses if (found := find_recovery(entries, loss.time)) is not None]
        text = f"{statistics.median(seconds):.1f}, {max(seconds):.1f}" if seconds else ""
        sys.stdout.write(f"| {way} | {len(losses)} | {text} |\n")
    elastic = campaign.status.get("elastic") or {}
    sys.stdout.write(
        f"{account.steps} steps and {account.repeated} repeated ones, status.elastic.lostSteps "
        f"{elastic.get('lostSteps', 0)}, lostWorkers {elastic.get('lostWorkers', 0)}; the training went on "
        f"{account.begins - 1} times, epoch {elastic.get('epoch', 0)}\n"
    )
    for problem in campaign.problems:
        sys.stdout.write(f"finding: {problem}\n")
    sys.stdout.write(f"{len(campaign.problems)} findings\n")


if __name__ == "__main__":
    sys.exit(main())
