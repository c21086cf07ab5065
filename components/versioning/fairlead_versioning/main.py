"""Import what DVC tracks as an artifact, and export an artifact to a repository of DVC.

Exits with 0 if it is done, 2 if files or objects are not as expected, and 1 if a remote, the store or this machine
failed, so that trying again may help.
"""

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

from fairlead_artifacts import KINDS, ArtifactError, Manifest, StoreUnavailable, parse_uri
from fairlead_artifacts.errors import LocalFileError

from .errors import RemoteUnavailable, Unusable
from .exporting import export
from .importing import import_dvc
from .repository import Repository

_UNAVAILABLE, _UNUSABLE = 1, 2
_MAX_BYTES = 100 << 30


def main(arguments: list[str] | None = None) -> int:
    """Run a command."""
    options = _build_parser().parse_args(arguments)
    # as an exception, so that what is incomplete is removed, and DVC ended
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        return _run(options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(options: argparse.Namespace) -> int:
    try:
        parse_uri(options.uri)  # before the work, so that a wrong one costs none
        if options.command == "import":
            manifest = import_dvc(options.source, options.remote, options.uri, options.kind, options.max_bytes)
        else:
            repository = Repository(options.repository.absolute(), options.remote)
            manifest = export(options.uri, options.digest, repository, options.path, options.push)
        _report(manifest, options)
    except (StoreUnavailable, LocalFileError, RemoteUnavailable) as error:
        sys.stderr.write(f"fairlead-versioning: {error}\n")
        return _UNAVAILABLE
    except (ArtifactError, Unusable) as error:
        sys.stderr.write(f"fairlead-versioning: {error}\n")
        return _UNUSABLE
    except OSError as error:
        sys.stderr.write(f"fairlead-versioning: {error.filename or 'this machine'}: {error.strerror or error}\n")
        return _UNAVAILABLE
    return 0


def _report(manifest: Manifest, options: argparse.Namespace) -> None:
    result = {"uri": options.uri, "digest": manifest.digest, "files": len(manifest.files), "bytes": manifest.size}
    sys.stdout.write(json.dumps(result) + "\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-versioning", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    importing = commands.add_parser("import", help="publish what DVC tracks as an artifact")
    importing.add_argument("source", type=Path, metavar="FILE.dvc", help="or a folder with such files")
    importing.add_argument("--to", required=True, dest="uri", metavar="URI", help="where to publish")
    importing.add_argument("--kind", default="dataset", choices=KINDS, help="(default: dataset)")
    importing.add_argument("--max-bytes", type=int, default=_MAX_BYTES, metavar="N", help="reject more (100 GiB)")
    exporting = commands.add_parser("export", help="add an artifact's files to a repository of DVC")
    exporting.add_argument("uri", metavar="URI")
    exporting.add_argument("--digest", metavar="sha256:…", help="reject any other content")
    exporting.add_argument("--repository", type=Path, default=Path(), metavar="FOLDER", help="(default: this folder)")
    exporting.add_argument("--path", required=True, help="a new folder in the repository, such as data/digits")
    exporting.add_argument("--push", action="store_true", help="push it to the remote first")
    for command in (importing, exporting):
        command.add_argument("--remote", metavar="PLACE", help="s3://bucket/path or a folder, in place of the remote "
                             "of the repository's configuration")  # fmt: skip
        command.add_argument("--out", type=Path, metavar="FILE", help="write {uri, digest, files, bytes}, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
