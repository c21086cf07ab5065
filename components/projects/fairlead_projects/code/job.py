"""The TrainingJob of a folder of code."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead.api.group import API_VERSION
from fairlead.api.pod_template import TRAINER
from fairlead.api.training_job import MAX_NAME
from fairlead.cli.console import CommandError

Object = dict[str, Any]
CODE_FOLDER = "/code"
REVISION = "fairlead.dev/code-revision"
"""The annotation with the git commit that the code is from."""
STORE_SECRET = "artifact-store"
"""The Secret with the object store's AWS_* variables, if the namespace has one."""
_CODE = "code"
_TEMPORARY = MAX_NAME - len("-check-123456")
_ENTRIES = ("train.py", "main.py")


@dataclass(frozen=True)
class Code:
    """How the code gets into the pods: a ConfigMap's volume, or an artifact that an init container fetches."""

    volume: Object | None = None
    uri: str | None = None
    digest: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class JobOptions:
    """What the user asked for."""

    name: str
    image: str
    command: Sequence[str]
    launcher: str = "Horovod"
    workers: int = 1
    slots: int = 1
    dataset: tuple[str, str | None] | None = None
    """The URI and the digest, if one was given."""
    model: str | None = None
    mlflow: tuple[str, str] | None = None
    """The URI of an MLflow server, and the experiment."""
    environment: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)


def build_job(options: JobOptions, code: Code) -> Object:
    """Return the TrainingJob, as it can be committed to a repository."""
    store = _store_access(options, code)
    mount = {"name": _CODE, "mountPath": CODE_FOLDER}
    trainer: Object = {
        "name": TRAINER,
        "image": options.image,
        "command": list(options.command),
        "workingDir": CODE_FOLDER,
        "volumeMounts": [mount | {"readOnly": True}],
    }
    if options.environment:
        trainer["env"] = [{"name": name, "value": value} for name, value in options.environment.items()]
    if options.resources:
        trainer["resources"] = _build_resources(options.resources)
    pod: Object = {"volumes": [code.volume or {"name": _CODE, "emptyDir": {}}]}
    if code.uri:
        pod["initContainers"] = [_build_fetch(options.image, code, mount) | store]
    pod["containers"] = [trainer | store]
    workers = {"replicas": options.workers, "slots": options.slots, "template": {"spec": pod}}
    spec: Object = {"launcher": options.launcher, "workers": workers}
    if options.dataset:
        uri, digest = options.dataset
        spec["dataset"] = {"uri": uri} | ({"digest": digest} if digest else {})
    if options.model:
        spec["model"] = {"uri": options.model}
    if options.mlflow:
        spec["tracking"] = {"mlflow": dict(zip(("uri", "experiment"), options.mlflow, strict=True))}
    meta: Object = {"name": options.name}
    if code.revision:
        meta["annotations"] = {REVISION: code.revision}
    return {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": meta, "spec": spec}


def _store_access(options: JobOptions, code: Code) -> Object:
    """Return the environment from the store's Secret, if anything is in an object store."""
    uris = (options.dataset[0] if options.dataset else None, options.model, code.uri)
    if not any(uri and uri.startswith("s3://") for uri in uris):
        return {}
    return {"envFrom": [{"secretRef": {"name": STORE_SECRET, "optional": True}}]}


def _build_fetch(image: str, code: Code, mount: Object) -> Object:
    words = ["fairlead-artifacts", "fetch", str(code.uri), CODE_FOLDER, "--digest", str(code.digest)]
    return {
        "name": "fetch-code",
        "image": image,
        "command": words,
        "volumeMounts": [mount],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _build_resources(resources: Mapping[str, str]) -> Object:
    """Return requests, and as limits what cannot be requested without: memory and devices."""
    limits = {name: value for name, value in resources.items() if name != "cpu"}
    return {"requests": dict(resources)} | ({"limits": limits} if limits else {})


def choose_name(folder: str) -> str:
    """Return a job's name for a folder's; raises CommandError if nothing of it can be used."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-0123456789")[:MAX_NAME].rstrip("-")
    if not name:
        raise CommandError(f"--name: got none, and the folder {folder!r} gives none; expected letters and digits")
    return name


def temporary_name(name: str, purpose: str) -> str:
    """Return the name of an object that lives for a moment, which nothing else has: it is deleted by its name."""
    return f"{name[:_TEMPORARY]}-{purpose}-{secrets.token_hex(3)}"


def choose_command(words: Sequence[str], paths: Sequence[str]) -> Sequence[str]:
    """Return the given command, else that of the script at the folder's top; raises CommandError if there is none."""
    if words:
        return words
    for entry in _ENTRIES:
        if entry in paths:
            return ["python3", entry]
    raise CommandError(
        f"--command: got none, and the folder has no {' or '.join(_ENTRIES)}; "
        "expected the command, such as --command 'python3 src/train.py --epochs 3'"
    )
