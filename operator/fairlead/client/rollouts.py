"""Commands about the rollout of a ModelDeployment: an annotation that the operator obeys once.

The spec stays as it is in Git, and the annotation is none of the fields that GitOps tools own. It names the revision,
so that a command which arrives late is not obeyed for another candidate.
"""

import secrets

from fairlead.client.errors import Rejected
from fairlead.client.objects import Object, Objects
from fairlead.client.waiting import wait_until
from fairlead.core import names

COMMANDS = ("pause", "resume", "promote", "abort", "retry")
_KIND = "ModelDeployment"


def command_rollout(objects: Objects, name: str, word: str, seconds: float) -> str:
    """Ask for a command about the current candidate, or the failed revision, and wait until the operator has obeyed.

    Returns the revision. Raises Rejected if there is none, or it no longer was one when the operator read the command;
    NotFound, and WaitTimeout.
    """
    if word not in COMMANDS:
        raise Rejected(f"{_KIND} {name}: got the command {word!r}, expected one of {', '.join(COMMANDS)}")
    status = objects.get(_KIND, name).get("status", {})
    retries = word == "retry"
    revision = status.get("rollout", {}).get("failedRevision") if retries else status.get("candidateRevision")
    if not revision:
        missing = "no revision that was rolled back" if retries else "no candidate"
        raise Rejected(f"{_KIND} {name}: has {missing}, expected one to {word}")
    token = secrets.token_hex(8)
    objects.annotate(_KIND, name, {names.ROLLOUT_COMMAND: f"{word} {revision} {token}"})

    def is_obeyed(obj: Object) -> bool:
        return bool(obj.get("status", {}).get("rollout", {}).get("command") == token)

    found = wait_until(lambda: objects.get(_KIND, name), is_obeyed, f"{_KIND} {name}: {word}", seconds)
    if not _has_effect(found.get("status", {}), word, revision):
        raise Rejected(f"{_KIND} {name}: {word} came too late for revision {revision}: the rollout has gone on")
    return str(revision)


def _has_effect(status: Object, word: str, revision: str) -> bool:
    """Return whether a command that the operator has read can have done something to its revision."""
    if word == "abort":
        return bool(status.get("rollout", {}).get("failedRevision") == revision)
    serving = (status.get("stableRevision"),) if word in ("promote", "retry") else ()
    return revision in (status.get("candidateRevision"), *serving)
