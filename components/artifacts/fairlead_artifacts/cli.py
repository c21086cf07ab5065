"""List, show, publish, fetch, verify and sign artifacts."""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from .artifact import fetch, list_artifacts, publish, read_manifest
from .errors import ArtifactError
from .manifest import KINDS, Manifest, Parent
from .signing import KEY_FILE, PublicKey, SigningKey, make_keys, sign, verify


def main(arguments: list[str] | None = None) -> int:
    """Run one command; print its result as JSON (ls: as a table); exit with 1 and a message on an error."""
    options = _parser().parse_args(arguments)
    try:
        _COMMANDS[options.command](options)
    except ArtifactError as error:
        print(f"fairlead-artifacts: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-artifacts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("ls", "list the artifacts at and below a URI"),
        ("show", "print an artifact's manifest and digest"),
        ("verify", "download an artifact and compare it with its manifest"),
        ("fetch", "download an artifact into a folder and verify it"),
        ("publish", f"publish a folder; sign it if {KEY_FILE} names a key"),
        ("sign", "sign an artifact that is published"),
        ("keygen", "write a new key to sign with, signing.key, and its public key, signing.pub, into a folder"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name in ("publish", "keygen"):
            command.add_argument("folder", type=Path)
        if name != "keygen":
            command.add_argument("uri")
        if name in ("show", "verify", "fetch", "sign"):
            command.add_argument("--digest", metavar="sha256:…", help="reject any other digest")
        if name == "verify":
            text = "reject an artifact that none of these keys has signed"
            command.add_argument("--public-key", action="append", default=[], type=Path, metavar="FILE", help=text)
        if name == "sign":
            command.add_argument("--key", required=True, type=Path, metavar="FILE", help="an Ed25519 private key, PEM")
        if name == "fetch":
            command.add_argument("folder", type=Path)
        if name == "publish":
            command.add_argument("--kind", required=True, choices=KINDS)
            command.add_argument("--producer", required=True, metavar="NAME/VERSION")
            command.add_argument("--parent", action="append", default=[], metavar="NAME=URI")
            command.add_argument("--parameters", default="{}", type=json.loads, metavar="JSON")
            command.add_argument("--replace", action="store_true", help="replace other content at the URI")
    return parser


def _list(options: argparse.Namespace) -> None:
    def skip(error: ArtifactError) -> None:
        print(f"fairlead-artifacts: skipped {error}", file=sys.stderr)

    for uri, manifest in list_artifacts(options.uri, skip):
        print(f"{manifest.kind:<12} {manifest.digest[:19]}  {manifest.size:>12,} B  {uri}")


def _show(options: argparse.Namespace) -> None:
    manifest = read_manifest(options.uri, options.digest)
    print(json.dumps({"digest": manifest.digest, "manifest": json.loads(manifest.content)}, indent=2))


def _verify(options: argparse.Namespace) -> None:
    keys = [PublicKey.read(path) for path in options.public_key]
    with tempfile.TemporaryDirectory() as folder:
        manifest = fetch(options.uri, folder, options.digest)
    more = {"signed": verify(options.uri, manifest.digest, keys)} if keys else {}
    _report(options.uri, manifest, more)


def _sign(options: argparse.Namespace) -> None:
    key = SigningKey.read(options.key)
    manifest = read_manifest(options.uri, options.digest)
    sign(options.uri, manifest.digest, key)
    _report(options.uri, manifest, {"signed": key.id})


def _keygen(options: argparse.Namespace) -> None:
    private, public = make_keys(options.folder)
    print(json.dumps({"private": str(private), "public": str(public), "id": PublicKey.read(public).id}))


def _fetch(options: argparse.Namespace) -> None:
    _report(options.uri, fetch(options.uri, options.folder, options.digest))


def _publish(options: argparse.Namespace) -> None:
    parents = []
    for text in options.parent:
        name, separator, uri = text.partition("=")
        if not separator:
            raise ArtifactError("--parent", f"got {text!r}, expected NAME=URI")
        parents.append(Parent(name, read_manifest(uri).digest, uri))
    manifest = publish(
        options.folder,
        options.uri,
        kind=options.kind,
        producer=options.producer,
        parents=parents,
        parameters=options.parameters,
        replace=options.replace,
    )
    _report(options.uri, manifest)


def _report(uri: str, manifest: Manifest, more: Mapping[str, str] = MappingProxyType({})) -> None:
    facts = {"uri": uri, "digest": manifest.digest, "files": len(manifest.files), "bytes": manifest.size}
    print(json.dumps({**facts, **more}))


_COMMANDS = {
    "ls": _list,
    "show": _show,
    "verify": _verify,
    "fetch": _fetch,
    "publish": _publish,
    "sign": _sign,
    "keygen": _keygen,
}

if __name__ == "__main__":
    sys.exit(main())
