"""A pod's status from the states of its containers, as a kubelet derives it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_cluster.local.node.objects import Object, timestamp


@dataclass(frozen=True)
class ContainerView:
    """One container as its status shows it."""

    name: str
    image: str
    state: Object
    """`{"waiting" | "running" | "terminated": {…}}`"""
    last_state: Object
    restarts: int
    ready: bool
    started: bool
    run_id: str

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of a container that has ended and not been restarted."""
        ended = self.state.get("terminated") or ("waiting" in self.state and self.last_state.get("terminated"))
        return int(ended["exitCode"]) if ended else None

    def status(self) -> Object:
        """Return the containerStatus object."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"process://{self.image}" if self.run_id else "",
            "containerID": f"process://{self.run_id}" if self.run_id else "",
            "state": self.state,
            "lastState": self.last_state,
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": self.started,
        }


@dataclass(frozen=True)
class PodView:
    """The state of a pod on the node."""

    restart_policy: str
    address: str
    started_at: str
    init: Sequence[ContainerView]
    containers: Sequence[ContainerView]
    deleting: bool


def derive_status(view: PodView, previous: Object) -> Object:
    """Return the pod's status; `previous` is the last one, whose other conditions and times are kept."""
    phase = derive_phase(view)
    over = phase in ("Succeeded", "Failed")
    unready = [item.name for item in view.containers if not item.ready]
    initialized = _init_done(view)
    not_ready = (
        ("PodCompleted", "")
        if phase == "Succeeded"
        else ("PodFailed", "")
        if over
        else ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    )
    ready = not unready and not over and initialized
    conditions = {
        "PodReadyToStartContainers": (True, "", ""),
        "Initialized": (initialized, "" if initialized else "ContainersNotInitialized", ""),
        "ContainersReady": (ready, *(("", "") if ready else not_ready)),
        "Ready": (ready, *(("", "") if ready else not_ready)),
    }
    return {
        "phase": phase,
        "startTime": view.started_at,
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": view.address,
        "podIPs": [{"ip": view.address}],
        "conditions": _conditions(conditions, previous.get("conditions") or []),
        "initContainerStatuses": [item.status() for item in view.init],
        "containerStatuses": [item.status() for item in view.containers],
    }


def derive_phase(view: PodView) -> str:
    """Return Pending, Running, Succeeded or Failed."""
    never = view.restart_policy == "Never"
    init_codes = [item.exit_code for item in view.init]
    if any(code not in (None, 0) for code in init_codes) and (never or view.deleting):
        return "Failed"
    codes = [item.exit_code for item in view.containers]
    if not _init_done(view) or any("waiting" in item.state and item.exit_code is None for item in view.containers):
        return "Failed" if view.deleting and not any("running" in item.state for item in view.containers) else "Pending"
    if any(code is None for code in codes):
        return "Running"
    if view.deleting or view.restart_policy != "Always":
        if all(code == 0 for code in codes):
            return "Succeeded"
        return "Failed" if never or view.deleting else "Running"
    return "Running"


def _init_done(view: PodView) -> bool:
    return all(item.exit_code == 0 for item in view.init)


def _conditions(desired: dict[str, tuple[bool, str, str]], previous: list[Object]) -> list[Object]:
    """Merge our conditions into the previous ones; a transition time changes only with the status."""
    before = {item["type"]: item for item in previous}
    ours = []
    for kind, (holds, reason, message) in desired.items():
        status = "True" if holds else "False"
        old = before.pop(kind, None)
        moved = old["lastTransitionTime"] if old and old["status"] == status else timestamp()
        condition = {"type": kind, "status": status, "lastTransitionTime": moved}
        ours.append(condition | {key: text for key, text in (("reason", reason), ("message", message)) if text})
    return [*before.values(), *ours]
