"""Parses the text options of `fairlead train`; raises CommandError naming the option."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from fairlead.api.base import ARTIFACT_URI, DIGEST
from fairlead.api.tracking import Mlflow
from fairlead.cli.console import CommandError
from pydantic import ValidationError

_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_GPU = "nvidia.com/gpu"


def parse_command(text: str) -> Sequence[str]:
    """Split a command as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise CommandError(f"--command: got {text!r}: {error}") from None


def parse_dataset(text: str) -> tuple[str, str | None] | None:
    """Split URI@digest; the digest may be absent."""
    if not text:
        return None
    # a URI may contain an @, a digest only one form
    uri, at, digest = text.rpartition("@sha256:")
    uri, found = (uri, f"sha256:{digest}") if at else (text, None)
    if not re.fullmatch(ARTIFACT_URI, uri) or (found and not re.fullmatch(DIGEST, found)):
        expected = "s3://bucket/path or file:///path, perhaps with @sha256:<64 hexadecimal digits>"
        raise CommandError(f"--dataset: got {text!r}, expected {expected}")
    return uri, found


def parse_uri(option: str, text: str) -> str | None:
    """Return an artifact's URI, None if none was given."""
    if text and not re.fullmatch(ARTIFACT_URI, text):
        raise CommandError(f"{option}: got {text!r}, expected s3://bucket/path or file:///path")
    return text or None


def parse_mlflow(text: str, name: str) -> tuple[str, str] | None:
    """Split URI,EXPERIMENT; without an experiment, it is the job's name."""
    if not text:
        return None
    uri, comma, experiment = text.partition(",")
    experiment = experiment if comma else name
    try:
        found = Mlflow(uri=uri, experiment=experiment)
    except ValidationError:
        expected = "http://host or https://host without a password, perhaps with a path and ,EXPERIMENT"
        shown = re.sub(r"//[^/]*@", "//…@", text)
        raise CommandError(f"--mlflow: got {shown!r}, expected {expected}") from None
    return found.uri, found.experiment


def parse_environment(texts: Iterable[str]) -> Mapping[str, str]:
    """Split each NAME=VALUE."""
    variables = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise CommandError(f"--env: got {text!r}, expected NAME=VALUE")
        variables[name] = value
    return variables


def parse_resources(cpu: str, memory: str, gpus: int) -> Mapping[str, str]:
    """Return a worker's resources by their Kubernetes names."""
    for option, text in (("--cpu", cpu), ("--memory", memory)):
        if text and not _QUANTITY.fullmatch(text):
            raise CommandError(f"{option}: got {text!r}, expected a quantity such as 2, 500m or 4Gi")
    named = {"cpu": cpu, "memory": memory, _GPU: str(gpus) if gpus else ""}
    return {name: value for name, value in named.items() if value}


def parse_launcher(text: str) -> str:
    """Return the launcher's name in the API, whatever its case."""
    known = {"horovod": "Horovod", "torchrun": "Torchrun"}
    if text.lower() not in known:
        raise CommandError(f"--launcher: got {text!r}, expected {' or '.join(known.values())}")
    return known[text.lower()]
