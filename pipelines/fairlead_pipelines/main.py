"""The command `fairlead-pipelines`: run the steps of a pipeline, compile pipelines, and run them locally."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fairlead.client import Denied, FairleadClient, FairleadError, Object

from fairlead_pipelines.installing import add_install, install
from fairlead_pipelines.options import (
    add_deploy,
    add_register,
    add_train,
    read_deployment,
    read_registration,
    read_training,
)
from fairlead_pipelines.steps.deployment import deploy
from fairlead_pipelines.steps.owner import find_owner
from fairlead_pipelines.steps.registration import register
from fairlead_pipelines.steps.training import train

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
        remedy = "; `fairlead pipeline install` allows it to the account of a step" if isinstance(error, Denied) else ""
        sys.stderr.write(f"fairlead-pipelines: {error}{remedy}\n")
        return 1


def _train(options: argparse.Namespace) -> int:
    client = _connect(options)
    owner, reason = find_owner(client)
    if owner is None:
        sys.stdout.write(f"{options.name}: is not deleted with its run: {reason}\n")
    return _report(options, train(client, read_training(options), owner))


def _deploy(options: argparse.Namespace) -> int:
    deployment = read_deployment(options)
    return _report(options, deploy(_connect(options), deployment))


def _register(options: argparse.Namespace) -> int:
    return _report(options, register(options.tracking_uri, read_registration(options)))


def _install(options: argparse.Namespace) -> int:
    for line in install(FairleadClient(field_manager=_FIELD_MANAGER), options):
        sys.stdout.write(f"{line}\n")
    return 0


def _connect(options: argparse.Namespace) -> FairleadClient:
    return FairleadClient(options.namespace, field_manager=_FIELD_MANAGER)


def _compile(options: argparse.Namespace) -> int:
    from fairlead_pipelines.compiling import compile_pipelines

    for path in compile_pipelines(options.out, options.registry):
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
    compiling.add_argument("--registry", default="", metavar="PREFIX", help="of the images: PREFIX/fairlead/trainer:…")
    compiling.set_defaults(run=_compile)
    installing = commands.add_parser("install", help="create what the steps need on a Kubeflow Pipelines installation")
    add_install(installing)
    installing.set_defaults(run=_install)
    training = commands.add_parser("train", help="create a TrainingJob and wait for its model")
    add_train(training)
    training.set_defaults(run=_train)
    deploying = commands.add_parser("deploy", help="apply a ModelDeployment and wait until it answers")
    add_deploy(deploying)
    deploying.set_defaults(run=_deploy)
    registering = commands.add_parser("register", help="make a version of a model in MLflow's registry")
    add_register(registering)
    registering.set_defaults(run=_register)
    return parser


if __name__ == "__main__":
    sys.exit(main())
