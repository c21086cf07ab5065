"""The command `fairlead-feature-store`: apply, join, materialize and serve features.

Exits with 1 on errors, and with 3 if the online store is further than it was to be brought.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead_artifacts import ArtifactError
from fairlead_serving.limits import InvalidSetting, Limits

from .clock import use_utc
from .errors import StoreAhead, StoreAway, Unusable
from .places import Place
from .store_file import read_store

STORE_FILE = "/etc/fairlead/feature-store/feature_store.yaml"
_MAX_ROWS = 1_000
_AHEAD = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    options = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("feast").setLevel(logging.WARNING)  # it reports each look into its registry
    use_utc()
    try:
        run: Callable[[argparse.Namespace], None] = options.run
        run(options)
    except (ArtifactError, StoreAway, Unusable, InvalidSetting) as error:
        sys.stderr.write(f"fairlead-feature-store: {error}\n")
        return 1
    except StoreAhead as error:
        sys.stderr.write(f"fairlead-feature-store: {error}\n")
        return _AHEAD
    return 0


# Each imports what it runs when it runs: Feast takes seconds to import.


def _apply(options: argparse.Namespace) -> None:
    from .applying import apply_definitions

    digest = apply_definitions(_definitions(options), read_store(options.store))
    _report(options, {"definitions": digest})


def _join(options: argparse.Namespace) -> None:
    from .joining import Request, join_features

    request = Request(
        definitions=_definitions(options), set_=options.set, rows=Place(options.rows, options.rows_digest),
        sources=dict(options.source), out_uri=options.out_uri, time=options.timestamp,
        drop_missing=options.missing == "drop",
    )  # fmt: skip
    joined = join_features(request)
    for name, count in joined.missing.items():
        sys.stdout.write(f"{name}: {count} of {joined.rows + joined.dropped} rows had no value\n" * (count > 0))
    sys.stdout.write(f"{joined.rows} rows joined, {joined.dropped} left out: {options.out_uri}\n")
    _report(options, {"uri": options.out_uri, "digest": joined.manifest.digest, "rows": joined.rows})


def _materialize(options: argparse.Namespace) -> None:
    from .materializing import materialize

    views: dict[str, Any] = {}
    store, latest, ahead = read_store(options.store), options.until, []
    for done in materialize(_definitions(options), dict(options.source), store, options.until, options.view):
        sys.stdout.write(f"{done.view}: {done.entities} entities, as known at {done.until.isoformat()}\n")
        sys.stdout.flush()
        views[done.view] = {"entities": done.entities, "until": done.until.isoformat()}
        latest = max(latest, done.until)
        ahead += [done.view] * (done.until > options.until)
    _report(options, {"views": views, "until": latest.isoformat()})
    if ahead:
        raise StoreAhead(
            f"{', '.join(ahead)}: nothing was written, as the online store has what was known at {latest.isoformat()}, "
            f"later than {options.until.isoformat()}"
        )


def _serve(options: argparse.Namespace) -> None:
    from .server import DEFAULTS, Request, serve

    request = Request(
        definitions=_definitions(options), set_=options.set, name=options.name or options.set,
        store=read_store(options.store), now=options.now, max_rows=options.max_rows,
    )  # fmt: skip
    address = os.environ.get("FAIRLEAD_BIND_ADDRESS") or "0.0.0.0"
    asyncio.run(serve(request, address, options.port, Limits.from_environment(defaults=DEFAULTS)))


def _definitions(options: argparse.Namespace) -> Place:
    return Place(options.definitions, options.definitions_digest)


def _report(options: argparse.Namespace, result: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(result)}\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-feature-store", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "apply", _apply, "write the definitions into the registry", store=True)
    join = _add(commands, "join", _join, "add features to entity rows, as they were known at each row's time")
    _add_sources(join)
    join.add_argument("--set", required=True, help="the set of features to join")
    join.add_argument("--rows", required=True, metavar="URI", help="a dataset of one table with keys and times")
    join.add_argument("--rows-digest", metavar="sha256:…")
    join.add_argument("--timestamp", default="event_timestamp", metavar="COLUMN", help="the rows' time")
    join.add_argument(
        "--missing", choices=("error", "drop"), default="error", help="rows that lack a feature without a default"
    )
    join.add_argument("--out-uri", required=True, metavar="URI", help="where the dataset is published")
    materialize = _add(commands, "materialize", _materialize, "write features to the online store", store=True)
    _add_sources(materialize)
    materialize.add_argument("--until", required=True, type=_parse_time, metavar="TIME", help="what is known then")
    materialize.add_argument("--view", action="append", default=[], help="only this view; can be repeated")
    serve = _add(commands, "serve", _serve, "look features up, as a node of a graph", store=True)
    serve.add_argument("--set", required=True, help="the set of features to serve")
    serve.add_argument("--name", help="the name of the model (default: the set's)")
    port = os.environ.get("PREDICTIVE_UNIT_SERVICE_PORT", "9000")
    serve.add_argument("--port", type=int, default=port, help="default: PREDICTIVE_UNIT_SERVICE_PORT, or 9000")
    serve.add_argument("--max-rows", type=int, default=_MAX_ROWS, help=f"of a request (default: {_MAX_ROWS})")
    serve.add_argument("--now", type=_parse_time, metavar="TIME", help="a time in the past, to replay a history")
    return parser


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str, store: bool = False
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument("--definitions", required=True, metavar="URI", help="an artifact with features.yaml")
    command.add_argument("--definitions-digest", metavar="sha256:…", help="reject any other content")
    command.add_argument("--out", type=Path, help="write the result to this file, as JSON")
    if store:
        file = Path(os.environ.get("FAIRLEAD_FEATURE_STORE") or STORE_FILE)
        command.add_argument(
            "--store", type=Path, default=file, metavar="FILE",
            help=f"registry and online store (default: FAIRLEAD_FEATURE_STORE, or {STORE_FILE})",
        )  # fmt: skip
    return command


def _add_sources(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source", action="append", default=[], type=_parse_source, metavar="NAME=URI[@DIGEST]",
        help="which artifact the definitions call NAME; can be repeated",
    )  # fmt: skip


def _parse_source(text: str) -> tuple[str, Place]:
    name, found, rest = text.partition("=")
    if not found or not name or not rest:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected NAME=URI[@DIGEST]")
    uri, found, digest = rest.rpartition("@sha256:")
    return name, Place(uri, f"sha256:{digest}") if found else Place(rest)


def _parse_time(text: str) -> datetime:
    with contextlib.suppress(ValueError):
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    raise argparse.ArgumentTypeError(f"got {text!r}, expected a time with its zone, such as 2013-12-01T12:00:00Z")


if __name__ == "__main__":
    sys.exit(main())
