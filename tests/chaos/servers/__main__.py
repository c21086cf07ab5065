"""Run the campaign: `python -m tests.chaos.servers`; print a table, and exit with 1 on a finding."""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.servers.models import OUTSIDE, build_models
from tests.chaos.servers.progress import Progress
from tests.chaos.servers.requests import fuzz
from tests.chaos.servers.slow import body_of, run_slow_clients
from tests.chaos.servers.targets import KINDS, Kind, Target, require_commands
from tests.support import onnx_models as onnx

_LIMIT_MIB = 2048
_READY_SECONDS = 120.0
SERVED = "served"
_GOOD = onnx.scale(2.0, ["n", 3])

Row = tuple[str, str, str]


def main() -> int:
    """Run everything against both servers."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.servers", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=300, help="at least those that are made by hand, 33")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="models at a time (default: CPUs)")
    parser.add_argument("--slow-seconds", type=float, default=50.0, help="longer than the timeouts of a request")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=[kind.name for kind in KINDS], action="append", help="default: both")
    options = parser.parse_args()
    require_commands()
    findings: list[str] = []
    for kind in (kind for kind in KINDS if not options.server or kind.name in options.server):
        with tempfile.TemporaryDirectory(prefix="fairlead-chaos-") as folder:
            for run in (run_requests, run_models):
                rows, found = run(kind, Path(folder), options)
                for row in rows:
                    sys.stdout.write("| " + " | ".join((kind.name, *row)) + " |\n")
                sys.stdout.flush()
                findings += [f"{kind.name}: {finding}" for finding in found]
    for finding in findings:
        sys.stdout.write(f"finding: {finding}\n")
    sys.stdout.write(f"{len(findings)} findings\n")
    return 1 if findings else 0


def run_requests(kind: Kind, folder: Path, options: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Fuzz a server, run slow clients against it, and send it large bodies."""
    target = kind.start(folder / "requests", _GOOD)
    if not target.wait_ready(_READY_SECONDS):
        return [], [f"does not become ready: {target.log.read_text()[-500:]}"]
    rows, findings = [("at rest", f"{target.rss()} MiB", "")], list[str]()
    begin = time.monotonic()
    report = Progress(kind, "fuzzed requests", options.requests)
    statuses, found = fuzz(target, options.requests, options.seed, report.advance)
    findings += found
    text = ", ".join(f"{key}: {count}" for key, count in sorted(statuses.items()))
    rows.append((f"{options.requests} fuzzed requests", text, f"{target.rss()} MiB, {time.monotonic() - begin:.0f} s"))
    largest = 0
    for _ in range(4):
        if (status := target.ask("POST", target.path, body_of(800_000))[0]) != 200:
            findings.append(f"a large valid body is answered with {status}")
        largest = max(largest, target.rss())
    rows.append(("4 valid bodies of 12 MiB", "200", f"{largest} MiB, then {target.rss()} MiB"))
    largest = max(largest, _send_brackets(target, findings))
    sys.stderr.write(f"{kind.name}: slow clients for {options.slow_seconds:g} s\n")
    ends, found, peak = run_slow_clients(target, options.slow_seconds)
    findings += found
    rows.append(
        ("600 slow clients", ", ".join(f"{key}: {count}" for key, count in sorted(ends.items())), f"{peak} MiB")
    )
    if (most := max(largest, peak)) > _LIMIT_MIB:
        findings.append(f"resident memory {most} MiB, expected at most {_LIMIT_MIB}")
    if target.restarts():
        findings.append(f"{target.restarts()} replacements of the model process")
    if target.ask("POST", target.path, body_of(1))[0] != 200:
        findings.append("does not answer after the campaign")
    if (status := target.stop()) != 0:
        findings.append(f"ends with {status}")
    if "raceback" in target.log.read_text(errors="replace"):
        findings.append("a traceback in the log")
    return rows, findings


def _send_brackets(target: Target, findings: list[str]) -> int:
    """Send 16 MiB of `[],` from four clients while health is asked for; return the memory."""
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(target.ask, "POST", target.path, b"[" + b"[]," * 5_500_000 + b"[]]") for _ in range(4)]
        while not all(future.done() for future in asked):
            begin = time.monotonic()
            if target.ask("GET", "/v2/health/live")[0] != 200 or time.monotonic() - begin > 5:
                findings.append("liveness does not answer during large bodies")
    if any(future.result()[0] != 400 for future in asked):
        findings.append("16 MiB of brackets are not answered with 400")
    return target.rss()


def run_models(kind: Kind, folder: Path, options: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Start a server on each hostile model, several at a time."""
    ends: Counter[str] = Counter()
    findings: list[str] = []
    begin = time.monotonic()
    models = list(build_models(options.models, options.seed))
    report = Progress(kind, "hostile models", len(models))

    def run(item: tuple[int, tuple[str, bytes]]) -> None:
        number, (name, content) = item
        end, problem = try_model(kind, folder / str(number), content)
        problem = problem or check_weights(name, end)
        ends[end] += 1
        if problem:
            findings.append(f"model {name}: {problem}")
            sys.stderr.write(f"{kind.name}: {findings[-1]}\n")
        report.advance()

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, enumerate(models)))
    text = ", ".join(f"{key}: {count}" for key, count in sorted(ends.items()))
    return [(f"{len(models)} hostile models", text, f"{time.monotonic() - begin:.0f} s")], findings


def check_weights(name: str, end: str) -> str:
    """Return what is wrong with the end of a model: one is served only with weights from its own folder."""
    return "reads outside its folder" if name.startswith(OUTSIDE) and end == SERVED else ""


def try_model(kind: Kind, folder: Path, content: bytes) -> tuple[str, str]:
    """Start a server on a model; return how it ended, and what is wrong with that."""
    target = kind.start(folder, content, FAIRLEAD_LOAD_TIMEOUT_SECONDS="10", FAIRLEAD_RUN_TIMEOUT_SECONDS="10")
    ready = target.wait_ready(_READY_SECONDS)
    problem = ""
    if ready:
        status, answer = target.ask("POST", target.path, body_of(1))
        if status not in (200, 400, 422) and b"node m:" not in answer:
            problem = f"answers {status}: {answer[:200]!r}"
    elif target.process.poll() is None:
        problem = "is neither ready nor rejected in time"
    size = target.rss() if ready else 0
    status = target.stop() if ready else target.process.poll()
    log = target.log.read_text(errors="replace")
    if "raceback" in log:
        problem = problem or f"a traceback in the log: {log[-300:]}"
    if size > _LIMIT_MIB:
        problem = problem or f"takes {size} MiB"
    if not ready and status not in (1, 2):
        target.stop()
        problem = problem or f"ends with {status}"
    if not ready and not ("invalid graph" in log or "rejected:" in log):
        problem = problem or f"is rejected without a reason: {log[-300:]}"
    return (SERVED if ready else "rejected with a reason" if not problem else "wrong"), problem


if __name__ == "__main__":
    sys.exit(main())
