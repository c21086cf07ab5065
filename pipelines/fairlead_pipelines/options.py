"""The options of the steps, and what they become."""

import argparse
from pathlib import Path

from fairlead.client import FairleadError

from fairlead_pipelines.names import NO_SECRET
from fairlead_pipelines.steps.deployment import FEATURES_IMAGE, Deployment, Features, Model
from fairlead_pipelines.steps.registration import Registration
from fairlead_pipelines.steps.training_job import Training, Workers


def add_train(command: argparse.ArgumentParser) -> None:
    """Add the options of the step `train`."""
    _add_common(command)
    command.add_argument("--image", required=True, help="the trainer's image")
    command.add_argument("--code", required=True, metavar="CONFIGMAP", help="the ConfigMap with the script")
    command.add_argument("--script", default="train.py", help="the script's key in the ConfigMap (default: train.py)")
    command.add_argument("--argument", action="append", default=[], help="an argument of the script; repeatable")
    command.add_argument("--launcher", default="Horovod", choices=("Horovod", "Torchrun"))
    command.add_argument("--workers", type=int, default=2)
    command.add_argument("--slots", type=int, default=1, help="training processes a worker (default: 1)")
    command.add_argument("--gpus", type=int, default=0, help="GPUs a worker (default: 0)")
    command.add_argument("--cpu", default="500m", help="the CPU that a worker requests (default: 500m)")
    command.add_argument("--memory", default="512Mi", help="the memory that a worker requests (default: 512Mi)")
    command.add_argument("--memory-limit", default="3Gi", help="the memory that a worker may use (default: 3Gi)")
    command.add_argument("--min-workers", type=int, default=0, help="of an elastic job (default: 0, fixed)")
    command.add_argument("--max-workers", type=int, default=0, help="of an elastic job (default: 0, fixed)")
    command.add_argument("--checkpoint", default="", metavar="URI", help="publish checkpoints below it")
    command.add_argument("--checkpoint-seconds", type=int, default=60, help="between two checkpoints (default: 60)")
    command.add_argument("--restarts", type=int, default=1, help="restarts after failures (default: 1)")
    command.add_argument("--dataset", required=True, metavar="URI")
    command.add_argument("--dataset-digest", required=True, metavar="sha256:…")
    command.add_argument("--model-uri", required=True, metavar="URI", help="the run's version is published below it")


def read_training(options: argparse.Namespace) -> Training:
    """Return what the options of `train` say."""
    workers = Workers(
        replicas=options.workers,
        slots=options.slots,
        gpus=options.gpus,
        cpu=options.cpu,
        memory=options.memory,
        memory_limit=options.memory_limit,
        minimum=options.min_workers,
        maximum=options.max_workers,
    )
    return Training(
        name=options.name,
        image=options.image,
        code=options.code,
        script=options.script,
        arguments=tuple(options.argument),
        dataset_uri=options.dataset,
        dataset_digest=options.dataset_digest,
        model_uri=options.model_uri,
        store_secret=options.store_secret,
        seconds=options.seconds,
        workers=workers,
        launcher=options.launcher,
        checkpoint_uri=options.checkpoint,
        checkpoint_seconds=options.checkpoint_seconds,
        restarts=options.restarts,
    )


def add_deploy(command: argparse.ArgumentParser) -> None:
    """Add the options of the step `deploy`."""
    _add_common(command)
    before = command.add_mutually_exclusive_group(required=True)
    before.add_argument("--scaler", metavar="URI", help="an onnx-model artifact whose outputs the classifier gets")
    before.add_argument("--features", metavar="URI", help="definitions of features that are looked up for it")
    command.add_argument("--classifier", required=True, metavar="URI", help="an onnx-model artifact")
    for node in ("scaler", "features", "classifier"):
        command.add_argument(f"--{node}-digest", required=node == "classifier", metavar="sha256:…")
    command.add_argument("--feature-set", default="", help="which of the definitions' sets")
    command.add_argument("--feature-store-secret", default="feature-store", help="a Secret with feature_store.yaml")
    command.add_argument("--features-image", default=FEATURES_IMAGE, help="the image that looks features up")
    command.add_argument("--now", default="", metavar="TIME", help="look up as if it were this time, of a replay")
    command.add_argument("--replicas", type=int, default=1)


def read_deployment(options: argparse.Namespace) -> Deployment:
    """Return what the options of `deploy` say; raise FairleadError for an incomplete pair of them."""
    return Deployment(
        name=options.name,
        before=_read_before(options),
        classifier=Model(options.classifier, options.classifier_digest),
        replicas=options.replicas,
        store_secret=options.store_secret,
        seconds=options.seconds,
    )


def _read_before(options: argparse.Namespace) -> Model | Features:
    if not options.features:
        _require(options, "scaler", "scaler-digest")
        return Model(options.scaler, options.scaler_digest)
    _require(options, "features", "features-digest", "feature-set")
    definitions = Model(options.features, options.features_digest)
    secret, image = options.feature_store_secret, options.features_image
    return Features(definitions, options.feature_set, secret, options.now, image)


def _require(options: argparse.Namespace, option: str, *names: str) -> None:
    for name in names:
        if not getattr(options, name.replace("-", "_")):
            raise FairleadError(f"--{name}: got none, expected a value next to --{option}")


def add_register(command: argparse.ArgumentParser) -> None:
    """Add the options of the step `register`."""
    command.add_argument("--tracking-uri", required=True, metavar="URL", help="of the MLflow server")
    command.add_argument("--name", required=True, help="the registered model")
    command.add_argument("--model", required=True, metavar="URI")
    command.add_argument("--digest", required=True, metavar="sha256:…")
    command.add_argument("--alias", default="", help="set this alias to the version")
    command.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="of the version; repeatable")
    command.add_argument("--out", type=Path, help="write the result to this file, as JSON")


def read_registration(options: argparse.Namespace) -> Registration:
    """Return what the options of `register` say; raise FairleadError for a tag without a value."""
    if wrong := [tag for tag in options.tag if "=" not in tag]:
        raise FairleadError(f"--tag: got {wrong[0]}, expected KEY=VALUE")
    tags = dict(tag.split("=", 1) for tag in options.tag)
    return Registration(options.name, options.model, options.digest, options.alias, tags)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="name of the resource; an existing one is reused")
    command.add_argument("--namespace", default="default")
    command.add_argument(
        "--store-secret", type=_read_secret, default="artifact-store",
        help=f"a Secret with AWS_ACCESS_KEY_ID, …; `{NO_SECRET}` if pods get their credentials otherwise",
    )  # fmt: skip
    command.add_argument("--seconds", type=int, default=900, help="timeout in seconds (default: 900)")
    command.add_argument("--out", type=Path, help="write the result to this file, as JSON")


def _read_secret(text: str) -> str:
    """Return the name of a Secret; empty for none."""
    return "" if text == NO_SECRET else text
