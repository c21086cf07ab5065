"""The command `fairlead-evaluation`: exits with 0 if the model is good enough, 2 if it is not, 1 without a card."""

import argparse
import json
import sys
from pathlib import Path

from fairlead_artifacts import ArtifactError
from fairlead_datasets.errors import Unusable

from . import predict
from .evaluate import Evaluated, Request, Requirements, evaluate
from .metrics import METRICS, find_roc_curve
from .pages import build_text

_NOT_GOOD_ENOUGH = 2
_EPILOG = "`fairlead-evaluation predict` publishes what a model answers for each example."


def main(arguments: list[str] | None = None) -> int:
    """Evaluate a model and print its card; or, after `predict`, publish what it answers."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return predict.run(words[1:]) if words[:1] == ["predict"] else _evaluate(words)
    except (ArtifactError, Unusable) as error:
        sys.stderr.write(f"fairlead-evaluation: {error}\n")
        return 1


def _evaluate(words: list[str]) -> int:
    options = _build_parser().parse_args(words)
    requirements = Requirements(options.metric, options.minimum, options.min_examples, options.max_gap)
    request = Request(
        model=(options.model, options.digest),
        dataset=(options.dataset, options.dataset_digest),
        split=options.split,
        slices=tuple(dict.fromkeys(options.slice)),
        requirements=requirements,
    )
    evaluated = evaluate(request)
    _report(evaluated, options.out)
    if options.html:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(evaluated.page)
    return 0 if evaluated.card.success else _NOT_GOOD_ENOUGH


def _report(evaluated: Evaluated, out: Path | None) -> None:
    card = evaluated.card
    sys.stdout.write(build_text(card, evaluated.figures))
    sys.stdout.write(f"{'good enough' if card.success else 'NOT GOOD ENOUGH'}: {evaluated.uri}\n")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        result = {"uri": evaluated.uri, "digest": evaluated.manifest.digest, "success": card.success}
        figures = evaluated.figures.to_json()
        result |= {name: figures[name] for name in ("metrics", "classes", "confusion")}
        out.write_text(json.dumps(result | {"roc": find_roc_curve(evaluated.figures.predictions)}))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-evaluation", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--model", required=True, metavar="URI", help="an onnx-model artifact")
    parser.add_argument("--digest", metavar="sha256:…", help="the model's digest; reject any other content")
    parser.add_argument("--dataset", required=True, metavar="URI")
    parser.add_argument("--dataset-digest", metavar="sha256:…")
    parser.add_argument("--split", default="eval", help="the split to measure on (default: eval)")
    parser.add_argument("--metric", default="accuracy", choices=METRICS, help="the success metric (default: accuracy)")
    parser.add_argument(
        "--minimum", type=float, required=True, help="the least value of it with which the model succeeds"
    )
    parser.add_argument(
        "--slice", action="append", default=[], metavar="ARRAY",
        help="measure on each slice that an array of the split names, too; can be repeated",
    )  # fmt: skip
    parser.add_argument("--max-gap", type=float, metavar="X", help="how far slices by the same array may be apart")
    parser.add_argument(
        "--min-examples", type=int, default=30, metavar="N", help="of the split, and of slices that count (default: 30)"
    )
    parser.add_argument("--out", type=Path, help="write {uri, digest, success, metrics, …} to this file, as JSON")
    parser.add_argument("--html", type=Path, help="write the card to this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
