"""Creates a job with its code on the cluster."""

from contextlib import suppress

from fairlead.cli.console import CommandError
from fairlead.client import FairleadClient, NotFound

from fairlead_projects.code.objects import Object, Objects

_KIND = "TrainingJob"
_GONE_SECONDS = 120.0


def create(client: FairleadClient, objects: Objects, replace: bool) -> None:
    """Create the objects; raises CommandError if there is a job of this name, unless it is to be replaced.

    The ConfigMap belongs to the job, so that it is deleted with it.
    """
    _make_room(client, objects, replace)
    # what the API server would reject leaves nothing behind
    client.apply(objects.job, dry_run=True)
    if objects.config_map:
        client.apply(objects.config_map)
    job = client.apply(objects.job)
    if objects.config_map:
        client.apply(_owned(objects.config_map, job))


def _make_room(client: FairleadClient, objects: Objects, replace: bool) -> None:
    name = objects.job["metadata"]["name"]
    try:
        found = client.get(_KIND, name)
    except NotFound:
        return
    if not replace:
        phase = found.get("status", {}).get("phase") or "new"
        raise CommandError(f"{_KIND} {name} exists ({phase}); choose another --name, or --replace it")
    client.delete(_KIND, name)
    client.wait_until_deleted(_KIND, name, _GONE_SECONDS)
    if objects.config_map:
        # the garbage collector is about to delete the one of this name, which the new job needs
        with suppress(NotFound):
            client.delete("ConfigMap", objects.config_map["metadata"]["name"])


def _owned(config_map: Object, job: Object) -> Object:
    meta = job["metadata"]
    owner = {"apiVersion": job["apiVersion"], "kind": _KIND, "name": meta["name"], "uid": meta["uid"]}
    return config_map | {"metadata": config_map["metadata"] | {"ownerReferences": [owner]}}
