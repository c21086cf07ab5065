"""`make fresh`: the README's two commands on a bare Debian 12, from a fresh clone of this commit in an empty home.

The system is what `debootstrap --variant=minbase` makes, with Python, git and make: no compiler, no Go, no pip. It runs
in namespaces of its own, which end with it, on this machine's network. Needs root.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

CHECKOUT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
PACKAGES = ("git", "make", "python3")
COMMANDS = ("make demo", "make test")
CLONE = "/root/fairlead"
CERTIFICATES = "/etc/host-certificates.pem"
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
PASSED_ON = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "UV_DEFAULT_INDEX", "GOPROXY", "GOSUMDB", "GONOSUMDB",
)  # fmt: skip
"""Variables for the package registries, the only ones passed on to the fresh system."""

_ENTER = r"""
set -eu
mount --make-rprivate /
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
IFS='
'
for pair in $SHARED; do
    mkdir -p "${pair%%:*}" "$ROOT${pair##*:}"
    mount --bind "${pair%%:*}" "$ROOT${pair##*:}"
done
exec chroot "$ROOT" /usr/bin/env -i "$@"
"""
"""Run by a shell in new mount and process namespaces, so that no mount and no process outlives it."""


@dataclass(frozen=True)
class Result:
    """The result of a command on the fresh system."""

    command: str
    seconds: float
    status: int


def main() -> int:
    """Run the commands; return 1 if one of them failed, 2 if they could not be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true", help="download everything; by default downloads are cached")
    parser.add_argument(
        "--share-builds", action="store_true", help="share what is built, too: Go's cache, Horovod's wheel"
    )
    parser.add_argument("--keep", action="store_true", help="keep the system afterwards, for inspection")
    parser.add_argument("commands", nargs="*", default=COMMANDS, help=f"default: {', '.join(COMMANDS)}")
    arguments = parser.parse_args()
    if arguments.cold and arguments.share_builds:
        parser.error("argument --share-builds: not allowed with argument --cold")
    console = Console()
    if problem := find_problem():
        console.print(f"make fresh: {problem}", markup=False, style="bold red")
        return 2
    warn_of_changes(console)
    home = Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead").absolute() / "fresh"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"another one uses {home}; wait for its end"
            console.print(f"make fresh: {problem}", markup=False, style="bold red")
            return 2
        system = unpack(make_archive(home, console), home / "root")
        try:
            caches = {} if arguments.cold else find_caches(home, arguments.share_builds)
            results = [run(system, command, caches, console) for command in arguments.commands]
        finally:
            if not arguments.keep:
                remove(system)
    cached = "nothing" if arguments.cold else "downloads and builds" if arguments.share_builds else "downloads"
    console.print(build_table(results, cached))
    return int(any(result.status for result in results))


def find_problem() -> str:
    """Return why a fresh system cannot be created here; empty if it can."""
    if os.geteuid() != 0:
        return "got an ordinary user, expected root: debootstrap and chroot need it"
    if shutil.which("debootstrap"):
        return ""
    if not shutil.which("apt-get"):
        return "debootstrap is not installed, and this is not a Debian on which to install it"
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"], check=True)
    return ""


def warn_of_changes(console: Console) -> None:
    """Warn about uncommitted changes, which are not tested."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    if status.stdout.strip():
        console.print("[yellow]uncommitted changes are ignored; testing the last commit[/]")


def make_archive(home: Path, console: Console) -> Path:
    """Return the archive of the bare system, created once for each list of packages."""
    key = hashlib.sha256(f"{SUITE} {PACKAGES}".encode()).hexdigest()[:12]
    archive = home / f"{SUITE}-{key}.tar"
    if archive.exists():
        return archive
    folder = home / "bootstrap"
    remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with console.status(f"debootstrap {SUITE}: minbase, {', '.join(PACKAGES)}"):
        log = home / "debootstrap.log"
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(folder)]
        with log.open("wb") as output:
            if subprocess.run(command, stdout=output, stderr=output).returncode:
                raise SystemExit(f"make fresh: debootstrap failed; see {log}")
        part = archive.with_suffix(".part")
        subprocess.run(["tar", "-C", str(folder), "-cf", str(part), "."], check=True)
        part.rename(archive)
        remove(folder)
    return archive


def unpack(archive: Path, root: Path) -> Path:
    """Unpack the bare system, configure network and certificates, and clone the last commit."""
    remove(root)
    root.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(root), "-xf", str(archive)], check=True)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    shutil.copy("/etc/hosts", root / "etc" / "hosts")
    if bundle := find_certificates():
        shutil.copy(bundle, root / CERTIFICATES.lstrip("/"))
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(CHECKOUT), str(root / CLONE.lstrip("/"))], check=True
    )
    return root


def run(system: Path, command: str, caches: dict[Path, str], console: Console) -> Result:
    """Run one of the README's commands in the fresh system and show its output."""
    console.rule(f"[bold]{command}[/] on a bare Debian ({SUITE})")
    environment = {
        "ROOT": str(system),
        "SHARED": "\n".join(f"{host}:{inside}" for host, inside in caches.items()),
        "PATH": os.environ["PATH"],
    }
    inside = build_environment()
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", _ENTER, "sh"]
    words += [f"{name}={value}" for name, value in inside.items()]
    # no exec: the shell is the namespace's first process, which must reap orphans
    words += ["/bin/bash", "-c", f"cd {CLONE} && {command}; exit $?"]
    began = time.monotonic()
    status = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL).returncode
    return Result(command, time.monotonic() - began, status)


def build_environment() -> dict[str, str]:
    """Return the environment of a first login, with the variables for the registries."""
    environment = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    environment |= {"LANG": "C.UTF-8", "TERM": "dumb", "USER": "root"}
    environment |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if find_certificates():
        environment |= dict.fromkeys(CERTIFICATE_VARIABLES, CERTIFICATES)
    return environment


def find_certificates() -> str | None:
    """Return the certificate bundle that this machine is configured to trust, if any."""
    bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    return bundle if bundle and Path(bundle).exists() else None


def find_caches(home: Path, builds: bool) -> dict[Path, str]:
    """Return this machine's download caches and their paths in the fresh system; with `builds` what is built, too.

    Where nothing has been built yet, a fresh system with shared builds builds everything, and this machine has it then.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    modules = Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")
    downloads = {
        cache / "uv": "/root/.cache/uv",
        cache / "pip": "/root/.cache/pip",
        modules: "/root/go/pkg/mod",
        home / "apt-archives": "/var/cache/apt/archives",
    }
    compiled = Path(os.environ.get("GOCACHE") or cache / "go-build")
    shared = {compiled: "/root/.cache/go-build", home.parent / "wheels": "/root/.fairlead/wheels"}
    return downloads | (shared if builds else {})


def remove(folder: Path) -> None:
    """Remove a system; fails if something is mounted in it, which would be removed too."""
    # the kernel writes spaces and the like as octal numbers
    quoted = (line.split()[1] for line in read_mounts().splitlines())
    mounts = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount) for mount in quoted]
    if inside := [mount for mount in mounts if Path(mount).is_relative_to(folder)]:
        raise SystemExit(f"make fresh: {inside[0]} is mounted; unmount it first")
    shutil.rmtree(folder, ignore_errors=True)


def read_mounts() -> str:
    """Return the kernel's list of mounts."""
    return Path("/proc/self/mounts").read_text()


def build_table(results: list[Result], cached: str) -> Table:
    """Return a table of the commands, their results and durations."""
    table = Table(title=f"a bare Debian ({SUITE}), {cached} cached")
    for column in ("command", "result", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for result in results:
        verdict = "[green]passed[/]" if result.status == 0 else f"[bold red]failed ({result.status})[/]"
        table.add_row(result.command, verdict, f"{result.seconds:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
