"""The command `fairlead-compress`: exits with 0 if published, 2 if the accuracy fell too far, 1 if it failed."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from fairlead_artifacts import ArtifactError
from fairlead_datasets.errors import Unusable
from fairlead_datasets.splits import Affine

from .compress import Compressed, OverBudget, Request, compress
from .recipe import read_recipe

_OVER_BUDGET = 2


def main(arguments: list[str] | None = None) -> int:
    """Make a model smaller by a recipe, and publish it."""
    options = _build_parser().parse_args(arguments)
    try:
        request = Request(
            recipe=read_recipe(options.recipe),
            model=(options.model, options.digest),
            dataset=(options.dataset, options.dataset_digest),
            out_uri=options.out_uri,
            train_split=options.train_split,
            split=options.split,
            affine=Affine(options.scale, options.offset),
        )
        compressed = compress(request)
    except OverBudget as error:
        sys.stderr.write(f"fairlead-compress: nothing was published: {error}\n")
        return _OVER_BUDGET
    except (ArtifactError, Unusable) as error:
        sys.stderr.write(f"fairlead-compress: {error}\n")
        return 1
    sys.stdout.write(_build_table(compressed))
    sys.stdout.write(f"published {options.out_uri} ({compressed.manifest.digest})\n")
    if options.out:
        result = {"uri": options.out_uri, "digest": compressed.manifest.digest}
        figures = {"before": asdict(compressed.before), "after": asdict(compressed.after)}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result | figures))
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-compress", description=__doc__)
    run = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("run", help="compress by a recipe")
    run.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="what to do, as YAML")
    run.add_argument("--model", required=True, metavar="URI", help="a model artifact with model.pt2")
    run.add_argument("--digest", metavar="sha256:…", help="the model's digest; reject any other content")
    run.add_argument("--dataset", required=True, metavar="URI")
    run.add_argument("--dataset-digest", metavar="sha256:…")
    run.add_argument("--out-uri", required=True, metavar="URI", help="URI of the model artifact to publish")
    run.add_argument("--train-split", default="train", help="the split to train on (default: train)")
    run.add_argument("--split", default="eval", help="the held-out split to measure on (default: eval)")
    run.add_argument("--scale", type=float, default=1.0, help="the model's input is value * scale + offset")
    run.add_argument("--offset", type=float, default=0.0)
    run.add_argument("--out", type=Path, help="write {uri, digest, before, after} to this file, as JSON")
    return parser


def _build_table(compressed: Compressed) -> str:
    rows = [f"{'':<22}{'before':>14}{'after':>14}\n"]
    after = asdict(compressed.after)
    for name, value in asdict(compressed.before).items():
        form = ",.4f" if name == "accuracy" else ",d"
        rows.append(f"{name.replace('_', ' '):<22}{value:>14{form}}{after[name]:>14{form}}\n")
    return "".join(rows)


if __name__ == "__main__":
    sys.exit(main())
