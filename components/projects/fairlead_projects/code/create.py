"""Creates a job with its code on the cluster."""

from contextlib import suppress

from fairlead.cli.console import CommandError
from fairlead.client import Denied, FairleadClient, NotFound, Rejected

from fairlead_projects.code.job import temporary_name
from fairlead_projects.code.objects import Object, Objects

_KIND = "TrainingJob"
_GONE_SECONDS = 120.0


def create(client: FairleadClient, objects: Objects, replace: bool) -> None:
    """Create the objects; raises CommandError if there is a job of this name, unless it is to be replaced.

    What the API server rejects leaves nothing behind, and a job that it would replace stays. The ConfigMap belongs to
    the job, so that it is deleted with it.
    """
    found = _find(client, objects, replace)
    if found:
        _try_beside(client, objects.job)
        _remove(client, objects)
    else:
        client.apply(objects.job, dry_run=True)
    if objects.config_map:
        client.apply(objects.config_map)
    try:
        job = client.apply(objects.job)
    except (Denied, Rejected):  # a quota, for example, may have been used up since
        if objects.config_map:
            _delete_config_map(client, objects.config_map)
        raise
    if objects.config_map:
        client.apply(_owned(objects.config_map, job))


def _find(client: FairleadClient, objects: Objects, replace: bool) -> bool:
    """Return whether there is a job to replace."""
    name = objects.job["metadata"]["name"]
    try:
        found = client.get(_KIND, name)
    except NotFound:
        return False
    if not replace:
        phase = found.get("status", {}).get("phase") or "new"
        raise CommandError(f"{_KIND} {name} exists ({phase}); choose another --name, or --replace it")
    return True


def _try_beside(client: FairleadClient, job: Object) -> None:
    """Raise the error of a job that the API server rejects; under its own name it would be a change of the old one."""
    name = temporary_name(job["metadata"]["name"], "new")
    try:
        client.apply(job | {"metadata": job["metadata"] | {"name": name}}, dry_run=True)
    except Denied as error:
        # a quota that has no room for two jobs has room for one
        if "exceeded quota" not in str(error):
            raise


def _remove(client: FairleadClient, objects: Objects) -> None:
    name = objects.job["metadata"]["name"]
    with suppress(NotFound):
        client.delete(_KIND, name)
    client.wait_until_deleted(_KIND, name, _GONE_SECONDS)
    if objects.config_map:
        # the garbage collector is about to delete the one of this name, which the new job needs
        _delete_config_map(client, objects.config_map)


def _delete_config_map(client: FairleadClient, config_map: Object) -> None:
    with suppress(NotFound):
        client.delete("ConfigMap", config_map["metadata"]["name"])


def _owned(config_map: Object, job: Object) -> Object:
    meta = job["metadata"]
    owner = {"apiVersion": job["apiVersion"], "kind": _KIND, "name": meta["name"], "uid": meta["uid"]}
    return config_map | {"metadata": config_map["metadata"] | {"ownerReferences": [owner]}}
