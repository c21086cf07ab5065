"""The options of the commands."""

import argparse
import re
from pathlib import Path

from .documents import MAX_ITEMS, SPLIT
from .uncertainty import MEASURES


def build_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="fairlead-labeling", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_select(commands.add_parser("select", help="choose the examples of which a model is most uncertain"))
    _add_export(commands.add_parser("export", help="send tasks to annotators"))
    _add_import(commands.add_parser("import", help="publish what annotators agree on as the dataset's next version"))
    return parser


def _add_select(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, metavar="URI")
    parser.add_argument("--dataset-digest", metavar="sha256:…")
    parser.add_argument("--split", type=_split, default="pool", help="the split to choose from (default: pool)")
    parser.add_argument("--model", required=True, metavar="URI", help="the model that is asked, an artifact")
    parser.add_argument("--model-digest", metavar="sha256:…")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--url", help="where it is served: http://host:port/v2/models/NAME; its API key, if it asks "
                        "for one, is in FAIRLEAD_API_KEY")  # fmt: skip
    source.add_argument("--predictions", type=Path, metavar="FILE", help="its scores for the split, .npz")
    parser.add_argument("--output", metavar="NAME", help="the output, or array, with a score for each label")
    parser.add_argument("--labels", default="", metavar="A,B,…", help="in the order of their indexes, if the dataset's "
                        "manifest does not name them")  # fmt: skip
    parser.add_argument("--by", default="margin", choices=MEASURES, help="of uncertainty (default: margin)")
    parser.add_argument("--count", type=_natural, default=100, metavar="N", help="how many (default: 100)")
    _add_retries(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="write the tasks to this file")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", required=True, type=Path, metavar="FILE")
    parser.add_argument("--picture", default="", metavar="HxW", help="show inputs as pictures of this shape; none: "
                        "as values (default: by their shape)")  # fmt: skip
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--json", type=Path, metavar="FILE", help="write the tasks with their inputs")
    target.add_argument("--coco", type=Path, metavar="FOLDER", help="write tasks.coco.json and pictures")
    _add_studio(parser, target)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", required=True, type=Path, metavar="FILE")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--json", type=Path, action="append", metavar="FILE", help="annotations; can be repeated")
    source.add_argument("--coco", action="append", metavar="ANNOTATOR=FILE", help="an annotator's; can be repeated")
    _add_studio(parser, source)
    parser.add_argument("--min-kappa", type=float, default=0.6, metavar="X", help="the least agreement (default: 0.6)")
    parser.add_argument("--annotators", type=int, choices=range(2, 101), default=2, metavar="N",
                        help="how many each item needs (default: 2)")  # fmt: skip
    parser.add_argument("--partial", action="store_true", help="leave out items of which annotations are missing")
    parser.add_argument("--into", type=_split, default="train", help="the split into which examples of a split without "
                        "labels move (default: train)")  # fmt: skip
    parser.add_argument("--to", required=True, metavar="URI", help="where to publish: s3://bucket/path or file:///path")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write {uri, digest, splits, kappa}, as JSON")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what the gate found, as JSON")


def _add_studio(parser: argparse.ArgumentParser, group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument("--label-studio", metavar="URL", help="a Label Studio; its token is in LABEL_STUDIO_API_KEY")
    parser.add_argument("--project", metavar="TITLE", help="the project of Label Studio")
    _add_retries(parser)


def _add_retries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--retry-seconds", type=float, default=60.0, metavar="S", help="how long a server that does "
                        "not answer is asked again (default: 60)")  # fmt: skip


def _split(text: str) -> str:
    if not re.fullmatch(SPLIT, text):
        raise argparse.ArgumentTypeError(f"got {text[:100]!r}, expected a name of a-z, 0-9, _ and -")
    return text


def _natural(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_ITEMS:
        raise argparse.ArgumentTypeError(f"got {number}, expected 1 to {MAX_ITEMS}")
    return number
