"""The command `fairlead-pipelines`: run the steps of a pipeline, compile pipelines, and run them locally."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fairlead.client import FairleadClient, FairleadError, Object

from fairlead_pipelines.steps.deployment import Deployment, Features, Model, deploy
from fairlead_pipelines.steps.training import Training, train

_FIELD_MANAGER = "fairlead-pipelines"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; exit with 1 and a message if it fails."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["run"]:
        # Imported lazily: KFP takes a second to import, and the steps, which run in pods, do not need it.
        from fairlead_pipelines.local import run_local

        return run_local(words[1:])
    options = _parser().parse_args(words)
    try:
        return int(options.run(options))
    except FairleadError as error:
        sys.stderr.write(f"fairlead-pipelines: {error}\n")
        return 1


def _train(options: argparse.Namespace) -> int:
    training = Training(
        name=options.name,
        image=options.image,
        code=options.code,
        script=options.script,
        arguments=tuple(options.argument),
        workers=options.workers,
        dataset_uri=options.dataset,
        dataset_digest=options.dataset_digest,
        model_uri=options.model_uri,
        store_secret=options.store_secret,
        seconds=options.seconds,
    )
    return _report(options, train(_connect(options), training))


def _deploy(options: argparse.Namespace) -> int:
    deployment = Deployment(
        name=options.name,
        before=_read_before(options),
        classifier=Model(options.classifier, options.classifier_digest),
        replicas=options.replicas,
        store_secret=options.store_secret,
        seconds=options.seconds,
    )
    return _report(options, deploy(_connect(options), deployment))


def _read_before(options: argparse.Namespace) -> Model | Features:
    """Return what is before the classifier; raise FairleadError for an incomplete pair of options."""
    if not options.features:
        _require(options, "scaler", "scaler-digest")
        return Model(options.scaler, options.scaler_digest)
    _require(options, "features", "features-digest", "feature-set")
    definitions = Model(options.features, options.features_digest)
    return Features(definitions, options.feature_set, options.feature_store_secret, options.now)


def _require(options: argparse.Namespace, option: str, *names: str) -> None:
    for name in names:
        if not getattr(options, name.replace("-", "_")):
            raise FairleadError(f"--{name}: got none, expected a value next to --{option}")


def _connect(options: argparse.Namespace) -> FairleadClient:
    return FairleadClient(options.namespace, field_manager=_FIELD_MANAGER)


def _compile(options: argparse.Namespace) -> int:
    from fairlead_pipelines.compiling import compile_pipelines

    for path in compile_pipelines(options.out):
        sys.stdout.write(f"{path}\n")
    return 0


def _report(options: argparse.Namespace, result: Object) -> int:
    sys.stdout.write(f"{json.dumps(result)}\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-pipelines", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("run", help="run a compiled pipeline on this machine with kfp.local, and write a report")
    compiling = commands.add_parser("compile", help="write manifests/pipelines/*.yaml")
    compiling.add_argument("--out", type=Path, metavar="FOLDER", help="write to this folder instead")
    compiling.set_defaults(run=_compile)
    _add_train(commands.add_parser("train", help="create a TrainingJob and wait for its model"))
    _add_deploy(commands.add_parser("deploy", help="apply a ModelDeployment and wait until it answers"))
    return parser


def _add_train(command: argparse.ArgumentParser) -> None:
    _add_common(command)
    command.add_argument("--image", required=True, help="the trainer's image")
    command.add_argument("--code", required=True, metavar="CONFIGMAP", help="the ConfigMap with the script")
    command.add_argument("--script", default="train.py", help="the script's key in the ConfigMap (default: train.py)")
    command.add_argument("--argument", action="append", default=[], help="an argument of the script; repeatable")
    command.add_argument("--workers", type=int, default=2)
    command.add_argument("--dataset", required=True, metavar="URI")
    command.add_argument("--dataset-digest", required=True, metavar="sha256:…")
    command.add_argument("--model-uri", required=True, metavar="URI", help="the run's version is published below it")
    command.set_defaults(run=_train)


def _add_deploy(command: argparse.ArgumentParser) -> None:
    _add_common(command)
    before = command.add_mutually_exclusive_group(required=True)
    before.add_argument("--scaler", metavar="URI", help="an onnx-model artifact whose outputs the classifier gets")
    before.add_argument("--features", metavar="URI", help="definitions of features that are looked up for it")
    command.add_argument("--classifier", required=True, metavar="URI", help="an onnx-model artifact")
    for node in ("scaler", "features", "classifier"):
        command.add_argument(f"--{node}-digest", required=node == "classifier", metavar="sha256:…")
    command.add_argument("--feature-set", default="", help="which of the definitions' sets")
    command.add_argument("--feature-store-secret", default="feature-store", help="a Secret with feature_store.yaml")
    command.add_argument("--now", default="", metavar="TIME", help="look up as if it were this time, of a replay")
    command.add_argument("--replicas", type=int, default=1)
    command.set_defaults(run=_deploy)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="name of the resource; an existing one is reused")
    command.add_argument("--namespace", default="default")
    command.add_argument("--store-secret", default="artifact-store", help="a Secret with AWS_ACCESS_KEY_ID, …")
    command.add_argument("--seconds", type=int, default=900, help="timeout in seconds (default: 900)")
    command.add_argument("--out", type=Path, help="write the result to this file, as JSON")


if __name__ == "__main__":
    sys.exit(main())
