"""The command `fairlead-data-validation`: exits with 0 if the dataset passes, 2 if it fails, 1 without a result."""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import (
    PUBLISH_SECONDS,
    ArtifactError,
    ArtifactNotFound,
    Manifest,
    Parent,
    fetch,
    publish,
    read_manifest,
    retry_unavailable,
    validation_uri,
)
from fairlead_contracts.errors import ContractError
from fairlead_contracts.validation import KIND, ValidationResult

from . import __version__
from .errors import ValidationImpossible
from .expectations import Result, validate
from .report import build_markdown, build_text
from .tables import build_table

_PRODUCER = f"fairlead-data-validation/{__version__}"
_FAILED = 2


@dataclass(frozen=True)
class PublishedResult:
    """A validation's result and its artifact."""

    result: Result
    uri: str
    manifest: Manifest
    kept: bool
    """True if an earlier passing result was kept because it is final."""


def validate_dataset(uri: str, digest: str | None, suite: Path) -> PublishedResult:
    """Fetch and validate a dataset, publish the result; raise ArtifactError or ValidationImpossible."""
    with tempfile.TemporaryDirectory() as folder:
        data, files = Path(folder, "data"), Path(folder, "result")
        dataset = fetch(uri, data, digest, kind="dataset")
        result = validate(build_table(data), suite)
        files.mkdir()
        (files / "result.json").write_text(json.dumps(result.document, indent=1, sort_keys=True))
        (files / "result.md").write_text(build_markdown(result, uri, dataset.digest))
        return _publish(result, uri, dataset, files)


def _publish(result: Result, uri: str, dataset: Manifest, files: Path) -> PublishedResult:
    target = validation_uri(uri, dataset.digest)
    existing = _read_passing(target, result.suite_digest)
    if existing is not None:
        return PublishedResult(result, target, existing, kept=True)
    contract = ValidationResult.build(result.success, result.suite, result.failed, result.suite_digest)
    manifest = publish(
        files,
        target,
        kind=KIND,
        producer=_PRODUCER,
        parents=[Parent("dataset", dataset.digest, uri)],
        parameters=contract.to_json(),
        replace=True,
        retry_seconds=PUBLISH_SECONDS,
    )
    return PublishedResult(result, target, manifest, kept=False)


def _read_passing(uri: str, suite_digest: str) -> Manifest | None:
    """Return the existing result if it is final: only for the suite that has passed."""
    try:
        manifest = retry_unavailable(lambda: read_manifest(uri), PUBLISH_SECONDS)
        found = ValidationResult.parse(dict(manifest.parameters), "parameters")
    except (ArtifactNotFound, ContractError):
        return None
    return manifest if found.success and found.suite_digest == suite_digest else None


def main(arguments: list[str] | None = None) -> int:
    """Validate a dataset and print a table of its expectations."""
    parser = argparse.ArgumentParser(prog="fairlead-data-validation", description=__doc__)
    parser.add_argument("--dataset", required=True, metavar="URI")
    parser.add_argument("--digest", metavar="sha256:…", help="reject any other content")
    parser.add_argument("--suite", required=True, type=Path, help="a suite in Great Expectations' JSON format")
    parser.add_argument("--out", type=Path, help="write {uri, digest, success} to this file, as JSON")
    options = parser.parse_args(arguments)
    try:
        published = validate_dataset(options.dataset, options.digest, options.suite)
    except (ArtifactError, ValidationImpossible) as error:
        sys.stderr.write(f"fairlead-data-validation: {error}\n")
        return 1
    success = published.result.success
    sys.stdout.write(
        f"{build_text(published.result)}\n\nsuite {published.result.suite} ({published.result.suite_digest})\n"
    )
    sys.stdout.write(f"{'passed' if success else 'FAILED'}: {published.uri}\n")
    if published.kept:
        suite = published.manifest.parameters.get("suite")
        sys.stdout.write(f"A passing result of suite {suite} already exists; it is final and was kept.\n")
    if options.out:
        out = {"uri": published.uri, "digest": published.manifest.digest, "success": success}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(out))
    return 0 if success else _FAILED


if __name__ == "__main__":
    sys.exit(main())
