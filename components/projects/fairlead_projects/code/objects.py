"""From a folder and what the user asked for to the objects that are applied."""

from dataclasses import dataclass
from typing import Any

from fairlead.api.training_job import TrainingJob
from fairlead.cli.console import CommandError
from pydantic import ValidationError

from fairlead_projects.code.artifact import hash_files, publish_code
from fairlead_projects.code.config_map import build_config_map, check_size
from fairlead_projects.code.files import CodeFiles
from fairlead_projects.code.job import Code, JobOptions, build_job

Object = dict[str, Any]
_UNKNOWN = f"sha256:{'0' * 64}"


@dataclass(frozen=True)
class Objects:
    """What is applied: the job, and the ConfigMap with its code if it is small."""

    job: Object
    config_map: Object | None = None
    code_uri: str | None = None
    """Where the code was published, if it is not in the ConfigMap."""

    @property
    def all(self) -> list[Object]:
        """Return the objects in the order in which they are applied."""
        return [self.config_map, self.job] if self.config_map else [self.job]


def build_objects(options: JobOptions, files: CodeFiles, code_uri: str | None) -> Objects:
    """Return the objects, valid; raises CommandError. With `code_uri`, the code is published below it."""
    if code_uri:
        return _build_with_artifact(options, files, f"{code_uri.rstrip('/')}/{hash_files(files)}")
    check_size(files)
    config_map, volume = build_config_map(options.name, files)
    job = build_job(options, Code(volume=volume, revision=files.revision))
    _validate(job)
    return Objects(job, config_map)


def _build_with_artifact(options: JobOptions, files: CodeFiles, uri: str) -> Objects:
    # before anything is published
    _validate(build_job(options, Code(uri=uri, digest=_UNKNOWN, revision=files.revision)))
    digest = publish_code(uri, files)
    return Objects(build_job(options, Code(uri=uri, digest=digest, revision=files.revision)), code_uri=uri)


def _validate(job: Object) -> None:
    """Raise CommandError naming the field that the API server would reject."""
    try:
        TrainingJob.model_validate(job)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CommandError(f"{place}: got {first['input']!r:.200}: {first['msg']}") from None
