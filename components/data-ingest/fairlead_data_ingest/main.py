"""Make a dataset by a recipe and publish it.

Exits with 0 once it is published, 2 if the data, the recipe or an artifact are not as expected, 1 if a source or the
store failed, so that trying again may help.
"""

import argparse
import json
import sys
from pathlib import Path

from fairlead_artifacts import ArtifactError, StoreUnavailable, parse_uri
from fairlead_artifacts.errors import LocalFileError
from fairlead_datasets.errors import Unusable

from .errors import SourceUnavailable
from .ingest import Ingested, ingest
from .recipe import read_recipe
from .summary import build_markdown, build_text

_UNUSABLE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _build_parser().parse_args(arguments)
    try:
        parse_uri(options.to)  # before the work, so that a wrong one costs none
        recipe = read_recipe(options.recipe)
        ingested = ingest(recipe, options.recipe.absolute().parent, None if options.check else options.to)
    except (StoreUnavailable, LocalFileError, SourceUnavailable) as error:
        sys.stderr.write(f"fairlead-data-ingest: {error}\n")
        return 1
    except (ArtifactError, Unusable) as error:
        sys.stderr.write("".join(f"fairlead-data-ingest: {line}\n" for line in str(error).splitlines()))
        return _UNUSABLE
    _report(ingested, options)
    return 0


def _report(ingested: Ingested, options: argparse.Namespace) -> None:
    sys.stdout.write(build_text(ingested))
    sys.stdout.write(f"published: {options.to}\n" if ingested.manifest else "nothing was published\n")
    if options.out and ingested.manifest:
        result = {"uri": options.to, "digest": ingested.manifest.digest, "splits": dict(ingested.written.splits)}
        _write(options.out, json.dumps(result))
    if options.summary:
        _write(options.summary, build_markdown(ingested, options.to))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-data-ingest", description=__doc__)
    parser.add_argument("--recipe", required=True, type=Path, metavar="FILE", help="the recipe, YAML or JSON")
    parser.add_argument("--to", required=True, metavar="URI", help="where to publish: s3://bucket/path or file:///path")
    parser.add_argument("--check", action="store_true", help="do everything but publish")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write {uri, digest, splits} to this file, as JSON")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the summary to this file, as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
