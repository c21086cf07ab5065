"""The commands of a device: install, roll-back, status, and serve with --state."""

import argparse
import asyncio
import dataclasses
import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

from fairlead_artifacts import PublicKey
from fairlead_serving.limits import Limits

from ..errors import InputUnusable
from .folder import Damaged, Folder
from .forwarding import TOKEN, Collector
from .slots import Offer, Release, Slots


def add_commands(commands: Any) -> None:
    """Add the parsers of `install`, `roll-back` and `status`."""
    command = commands.add_parser("install", help="bring a release onto this device and offer it to its server")
    add_state(command, required=True)
    command.add_argument("--bundle", required=True, metavar="URI|FOLDER")
    command.add_argument("--digest", metavar="sha256:…", help="reject any other bundle")
    command.add_argument(
        "--public-key", action="append", default=[], type=Path, metavar="FILE",
        help="reject a bundle that none of these keys has signed",
    )  # fmt: skip
    command.add_argument("--allow-older", action="store_true", help="also if this device has run a higher version")
    command = commands.add_parser("roll-back", help="offer the release before the one that runs")
    add_state(command, required=True)
    command = commands.add_parser("status", help="print what this device runs, tries and has rejected")
    add_state(command, required=True)
    command.add_argument("--json", action="store_true")


def add_state(command: Any, required: bool = False) -> None:
    """Add the option for a device's folder."""
    text = "the device's folder, with its releases"
    command.add_argument("--state", type=Path, metavar="FOLDER", help=text, required=required)


def add_serving(command: argparse.ArgumentParser) -> None:
    """Add the options of `serve` for a device's folder."""
    command.add_argument(
        "--probation", type=float, default=60.0, metavar="SECONDS",
        help="how long a new release of --state answers before it is confirmed",
    )  # fmt: skip
    command.add_argument("--telemetry", metavar="URL", help=f"send telemetry there, with the token of ${TOKEN}")
    command.add_argument(
        "--telemetry-interval", type=float, default=60.0, metavar="SECONDS", help="the time of a record; 0: none"
    )
    text = "how many bytes the records that wait may have"
    command.add_argument("--telemetry-bytes", type=int, default=1 << 20, metavar="BYTES", help=text)
    command.add_argument("--device", default=platform.node(), metavar="NAME", help="the device's name in telemetry")


def run_install(options: argparse.Namespace) -> None:
    """Install a release."""
    from .installing import Trust, install

    trust = Trust(options.digest, [PublicKey.read(path) for path in options.public_key])
    _report(install(Folder(options.state), options.bundle, trust, options.allow_older))


def run_roll_back(options: argparse.Namespace) -> None:
    """Offer the release before the one that runs."""
    from .installing import roll_back

    _report(roll_back(Folder(options.state)))


def run_status(options: argparse.Namespace) -> None:
    """Print the state of a device."""
    folder = Folder(options.state, create=False)
    if not folder.bundles.is_dir():
        raise InputUnusable(f"{folder.path}: is no device's folder")
    try:
        slots, offer = folder.read_slots() or Slots(), folder.read_offer()
    except Damaged as error:
        raise InputUnusable(f"{folder.path}: {error}") from None
    pending = offer if offer and offer.sequence > slots.handled else None
    if options.json:
        document = dataclasses.asdict(slots) | {"offer": pending and dataclasses.asdict(pending)}
        sys.stdout.write(json.dumps(document) + "\n")
        return
    trial = slots.candidate.release if slots.candidate else pending.release if pending else None
    for name, release in (("serving", slots.good), ("before", slots.previous), ("on trial", trial)):
        sys.stdout.write(f"{name:<10}{_describe(release)}\n")
    if slots.rejected is not None:
        sys.stdout.write(f"rejected  {_describe(slots.rejected.release)}: {slots.rejected.reason}\n")


def run_serve(options: argparse.Namespace, address: str, limits: Limits) -> None:
    """Serve a device's folder."""
    from .keeper import Settings
    from .serving import serve_device
    from .telemetry import TelemetrySettings

    settings = Settings(options.threads, _check("--probation", options.probation))
    collector = Collector.parse(options.telemetry) if options.telemetry else None
    interval = _check("--telemetry-interval", options.telemetry_interval)
    telemetry = TelemetrySettings(interval, options.telemetry_bytes, collector, options.device) if interval else None
    asyncio.run(serve_device(Folder(options.state), address, options.port, limits, settings, telemetry))


def _check(option: str, seconds: float) -> float:
    if not 0 <= seconds < math.inf:
        raise InputUnusable(f"{option}: got {seconds}, expected a finite number of at least 0")
    return seconds


def _report(offer: Offer) -> None:
    sys.stdout.write(f"offered version {offer.release.version} ({offer.release.digest})\n")


def _describe(release: Release | None) -> str:
    return "none" if release is None else f"version {release.version} ({release.digest})"
