"""A campaign of faults against the operator: every life must end as the undisturbed one, whatever happens in it.

The operator runs as a process behind a proxy that fails, delays, loses or reorders what passes. Pods are simulated;
etcd, API server and controller manager are real. Prints a table and every difference; exits 1 if there is one.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.chaos.operator.cluster import Campaign, Outcome, started_campaign
from tests.chaos.operator.faults import API_FAULTS, EVENT_FAULTS, KILLS, STALLS, Fault
from tests.chaos.operator.leaders import pause_leader
from tests.chaos.operator.lives import LIVES
from tests.chaos.operator.stage import Life

Object = dict[str, Any]
Run = Callable[[Life, Fault], Awaitable[Outcome]]
NEVER_HIT = "the fault never hit"
_WIDTH = 140
_TRIES = 4
"""How often a fault is tried until it hits its life."""


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=float, default=1.0, metavar="SHARE", help="the share of all faults to try")
    parser.add_argument("--lives", default=",".join(life.name for life in LIVES), help="comma-separated (default: all)")
    parser.add_argument("--faults", default="", help="comma-separated kinds of faults (default: all)")
    parser.add_argument("--pauses", default="10,24,40", help="seconds for which the leader is paused (empty: not)")
    parser.add_argument("--at-once", type=int, default=4, metavar="LIVES", help="lives at the same time")
    parser.add_argument(
        "--kills-at-once", type=int, default=1, metavar="LIVES",
        help="lives at the same time with kills and stalled watches, which then hit all of them",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--keep", action="store_true", help="keep the operator's log also where all is well")
    arguments = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    # end the control plane on every signal, also where a shell that ran this in the background ignores SIGINT
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    console.print(f"the operator's log: {folder / 'operator.log'}")
    code = 1
    try:
        code = asyncio.run(run(arguments, console, folder))
    finally:
        if code == 0 and not arguments.keep:
            shutil.rmtree(folder)
    sys.exit(code)


async def run(arguments: argparse.Namespace, console: Console, folder: Path) -> int:
    """Run every life undisturbed, then with each fault; return the exit code."""
    outcomes: list[Outcome] = []
    try:
        async with started_campaign(folder) as campaign:
            quiet = await run_undisturbed(campaign, arguments, console)
            if quiet is None:
                return 1
            await run_disturbed(campaign, arguments, console, quiet, outcomes)
            for seconds in [int(text) for text in arguments.pauses.split(",") if text]:
                outcome = await pause_leader(campaign, campaign.spare, seconds)
                if outcome.problem:
                    console.print(f"[red]leader, {outcome.fault}[/]: {outcome.problem}")
                outcomes.append(outcome)
    finally:  # also of a campaign that was ended early
        console.print(build_table(outcomes))
    return 1 if any(outcome.problem for outcome in outcomes) else 0


async def run_undisturbed(
    campaign: Campaign, arguments: argparse.Namespace, console: Console
) -> dict[str, Outcome] | None:
    """Run the chosen lives without faults; return their outcomes by name, or None if one has failed."""
    chosen = [life for life in LIVES if life.name in arguments.lives.split(",")]
    quiet: dict[str, Outcome] = {}
    for first in range(0, len(chosen), arguments.at_once):
        lives = chosen[first : first + arguments.at_once]
        done = await asyncio.gather(*(campaign.run(life, Fault()) for life in lives))
        quiet |= {outcome.life: outcome for outcome in done}
    for name, outcome in quiet.items():
        console.print(f"{name}: {outcome.seconds:.1f} s, {len(outcome.writes)} writes, {outcome.events} events")
        if outcome.problem:
            console.print(f"[red]the undisturbed life failed: {outcome.problem}")
            return None
    return quiet


async def run_disturbed(
    campaign: Campaign,
    arguments: argparse.Namespace,
    console: Console,
    quiet: dict[str, Outcome],
    outcomes: list[Outcome],
) -> None:
    """Run the lives with the chosen faults; add how each ended to `outcomes`."""
    kinds, rng = {kind for kind in arguments.faults.split(",") if kind}, random.Random(arguments.seed)
    cases = [
        (life, fault)
        for life in LIVES
        if life.name in quiet
        for fault in list_faults(quiet[life.name])
        if (not kinds or fault.kind in kinds) and rng.random() < arguments.sample
    ]
    # a kill or a stalled watch hits everything that goes on at the time
    alone = [case for case in cases if case[1].kind in (*KILLS, *STALLS)]
    together = [case for case in cases if case not in alone]
    with Progress(console=console) as progress:
        task = progress.add_task("faults", total=len(cases))

        async def work(queue: list[tuple[Life, Fault]]) -> None:
            while queue:
                outcome = await try_fault(campaign.run, quiet, *queue.pop(0))
                if outcome.problem:
                    progress.console.print(f"[red]{outcome.life}, {outcome.fault}[/]: {outcome.problem}")
                outcomes.append(outcome)
                progress.advance(task)

        for queue, lives in ((together, arguments.at_once), (alone, arguments.kills_at_once)):
            async with asyncio.TaskGroup() as group:
                for _ in range(lives):
                    group.create_task(work(queue))


async def try_fault(run: Run, quiet: dict[str, Outcome], life: Life, fault: Fault) -> Outcome:
    """Run a life with a fault; return how it ended, with what is wrong.

    A life beside others may have fewer writes or events than it had undisturbed. A fault that was to hit a later one is
    tried again at the last that there was.
    """
    for _ in range(_TRIES):
        outcome = await run(life, fault)
        outcome.problem = find_problem(quiet[life.name], outcome)
        if outcome.problem != NEVER_HIT:
            break
        count = len(outcome.writes) if fault.on_write else outcome.events
        fault = replace(fault, at=max(0, min(fault.at, count) - 1))
    return outcome


def list_faults(quiet: Outcome) -> list[Fault]:
    """Return every fault that can hit a life."""
    writes = [Fault(kind, at) for kind in (*KILLS, *API_FAULTS) for at in range(len(quiet.writes))]
    events = [Fault(kind, at) for kind in (*EVENT_FAULTS, *STALLS) for at in range(quiet.events)]
    return writes + events


def find_problem(quiet: Outcome, outcome: Outcome) -> str:
    """Return what is wrong with a disturbed life; a fault that never hit has shown nothing."""
    missed = "" if outcome.hits else NEVER_HIT
    return outcome.problem or compare(quiet.end, outcome.end) or missed


def compare(quiet: Object, end: Object) -> str:
    """Return how an end state differs from the undisturbed one; additional events are no difference."""
    found = []
    for key in sorted(quiet.keys() | end.keys()):
        before, after = quiet.get(key), end.get(key)
        if key == "events":
            after = [reason for reason in before or [] if reason in (after or [])]
        if before != after:
            found.append(f"{key}: {after}, expected {before}")
    return "; ".join(found)


def build_table(outcomes: Iterable[Outcome]) -> Table:
    """Return the table of lives and faults: how many ended as the undisturbed one, and the longest time."""
    table = Table(title="lives that ended as the undisturbed one", title_justify="left")
    for column in ("fault", "lives", "equal", "hit", "longest, s"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    by_kind: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.fault.kind, []).append(outcome)
    for kind, found in by_kind.items():
        equal = sum(not outcome.problem for outcome in found)
        hit = sum(outcome.hits > 0 for outcome in found)
        style = "" if equal == len(found) else "red"
        table.add_row(kind, str(len(found)), str(equal), str(hit), f"{max(o.seconds for o in found):.0f}", style=style)
    return table


if __name__ == "__main__":
    main()
