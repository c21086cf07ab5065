"""The command `fairlead-data-validation`: exits with 0 if the dataset passes, 2 if it fails, 1 without a result."""

import argparse
import json
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped, unused-ignore]
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
from .drift import Reference
from .errors import ValidationImpossible
from .expectations import Result, validate
from .infer import infer_suite
from .report import build_html, build_markdown, build_text
from .suites import fetched_suite, load_suite
from .tables import Facts, build_table

_PRODUCER = f"fairlead-data-validation/{__version__}"
_FAILED = 2


@dataclass(frozen=True)
class PublishedResult:
    """A validation's result and its artifact."""

    result: Result
    page: str
    """The result as HTML."""
    uri: str
    manifest: Manifest
    kept: bool
    """True if an earlier passing result was kept because it is final."""


def validate_dataset(uri: str, digest: str | None, suite_file: Path) -> PublishedResult:
    """Fetch and validate a dataset, publish the result; raise ArtifactError or ValidationImpossible."""
    with tempfile.TemporaryDirectory() as folder:
        suite, files = load_suite(suite_file), Path(folder, "result")
        dataset, table = read_dataset(uri, digest, Path(folder, "data"), suite.columns)
        parents = [Parent("dataset", dataset.digest, uri)]

        @cache
        def load(reference: Reference) -> pd.DataFrame:
            place = Path(folder, f"reference-{len(parents)}")
            parents.append(Parent("reference", reference.digest, reference.uri))
            return read_dataset(reference.uri, reference.digest, place, suite.columns)[1]

        result = validate(table, suite, load)
        page = build_html(result, table, uri, dataset.digest)
        files.mkdir()
        (files / "result.json").write_text(json.dumps(result.document, indent=1, sort_keys=True))
        (files / "result.md").write_text(build_markdown(result, uri, dataset.digest))
        (files / "result.html").write_text(page)
        return _publish(result, page, uri, dataset, parents, files)


def read_dataset(
    uri: str, digest: str | None, folder: Path, columns: Collection[str] | None = None
) -> tuple[Manifest, pd.DataFrame]:
    """Fetch a dataset into a folder and return its manifest and table; of its columns perhaps only some."""
    manifest = fetch(uri, folder, digest, kind="dataset")
    return manifest, build_table(folder, Facts.read(manifest.parameters), columns)


def _publish(
    result: Result, page: str, uri: str, dataset: Manifest, parents: list[Parent], files: Path
) -> PublishedResult:
    target = validation_uri(uri, dataset.digest)
    existing = _read_passing(target, result.suite_digest)
    if existing is not None:
        return PublishedResult(result, page, target, existing, kept=True)
    contract = ValidationResult.build(result.success, result.suite, result.failed, result.suite_digest)
    manifest = publish(
        files,
        target,
        kind=KIND,
        producer=_PRODUCER,
        parents=parents,
        parameters=contract.to_json(),
        replace=True,
        retry_seconds=PUBLISH_SECONDS,
    )
    return PublishedResult(result, page, target, manifest, kept=False)


def _read_passing(uri: str, suite_digest: str) -> Manifest | None:
    """Return the existing result if it is final: only for the suite that has passed."""
    try:
        manifest = retry_unavailable(lambda: read_manifest(uri), PUBLISH_SECONDS)
        found = ValidationResult.parse(dict(manifest.parameters), "parameters")
    except (ArtifactNotFound, ContractError):
        return None
    return manifest if found.success and found.suite_digest == suite_digest else None


def main(arguments: list[str] | None = None) -> int:
    """Validate a dataset and print a table of its expectations; or, after `infer`, write a first suite."""
    words = sys.argv[1:] if arguments is None else arguments
    inferring = words[:1] == ["infer"]
    options = _build_parser(inferring).parse_args(words[inferring:])
    try:
        return _infer(options) if inferring else _validate(options)
    except (ArtifactError, ValidationImpossible) as error:
        sys.stderr.write(f"fairlead-data-validation: {error}\n")
        return 1


def _build_parser(inferring: bool) -> argparse.ArgumentParser:
    program = "fairlead-data-validation"
    if inferring:
        parser = argparse.ArgumentParser(prog=f"{program} infer", description="Write a first suite from a dataset.")
    else:
        epilog = f"`{program} infer` writes a first suite from a dataset."
        parser = argparse.ArgumentParser(prog=program, description=__doc__, epilog=epilog)
    parser.add_argument("--dataset", required=True, metavar="URI")
    parser.add_argument("--digest", metavar="sha256:…", help="reject any other content")
    if inferring:
        parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="write the suite to this file")
        parser.add_argument("--name", default="inferred", help="the suite's name (default: inferred)")
        parser.add_argument(
            "--drift", action="store_true", help="expect, too, that columns do not drift from this dataset"
        )
        return parser
    parser.add_argument(
        "--suite", required=True, metavar="FILE|URI@DIGEST",
        help="a suite in Great Expectations' JSON format, or a code artifact with one in its suite.json",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="write {uri, digest, success, …} to this file, as JSON")
    parser.add_argument("--html", type=Path, help="write the result to this file, as a page, too")
    return parser


def _infer(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        dataset, table = read_dataset(options.dataset, options.digest, Path(folder, "data"))
    reference = Reference(uri=options.dataset, digest=dataset.digest) if options.drift else None
    suite = infer_suite(table, options.name, reference)
    _write(options.out, json.dumps(suite, indent=1, ensure_ascii=False) + "\n")
    count, columns = len(suite["expectations"]), len(table.columns)
    sys.stdout.write(
        f"{options.out}: {count} expectations of {columns} columns; read and edit them before you rely on them\n"
    )
    return 0


def _validate(options: argparse.Namespace) -> int:
    with fetched_suite(options.suite) as file:
        published = validate_dataset(options.dataset, options.digest, file)
    success = published.result.success
    sys.stdout.write(
        f"{build_text(published.result)}\n\nsuite {published.result.suite} ({published.result.suite_digest})\n"
    )
    sys.stdout.write(f"{'passed' if success else 'FAILED'}: {published.uri}\n")
    if not success and not published.kept:
        # Kubeflow Pipelines drops the outputs of failed tasks, also a page that was written.
        sys.stdout.write(f"report: {published.uri}/result.html\n")
    if published.kept:
        suite = published.manifest.parameters.get("suite")
        sys.stdout.write(f"A passing result of suite {suite} already exists; it is final and was kept.\n")
    if options.out:
        out = {"uri": published.uri, "digest": published.manifest.digest, "success": success}
        out |= {"suite": published.result.suite, "expectations": len(published.result.outcomes)}
        out |= {"failed": len(published.result.failed)}
        _write(options.out, json.dumps(out))
    if options.html:
        _write(options.html, published.page)
    return 0 if success else _FAILED


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
