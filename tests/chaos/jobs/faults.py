"""The faults of the campaign: when each one begins, what it does, how it ends, and what must come of it."""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fairlead_cluster.base.daemons import Daemons
from fairlead_cluster.local.cluster import NODE_AGENT, OPERATOR, up
from rich.console import Console

from tests.chaos.jobs.job import build_quota, build_secret
from tests.chaos.jobs.stage import Stage

Act = Callable[[Stage], None]
BEFORE, STARTED, TRAINS, ENDS = "before its creation", "when its pods exist", "in its training", "at its last step"
_DISK_BYTES = 1 << 16
_CLOSED = "(Connection aborted|new connection)"
"""What a client says of a connection that is reset: later, or at once."""


@dataclass(frozen=True)
class Fault:
    """One fault in the life of a job."""

    name: str
    when: str
    begin: Act
    end: Act
    """Undoes it, or does the next thing that belongs to it."""
    seconds: float
    """How long it lasts."""
    named: str = ""
    """A regular expression for its cause, which a condition of the job must match; empty if nobody need notice it."""
    phase: str = "Succeeded"
    restarts: tuple[int, int] = (0, 0)
    """How often the attempt may be restarted: at least, at most."""
    elastic_restarts: tuple[int, int] = (0, 0)
    """The same for elastic jobs."""
    older: bool = False
    """Whether the training must continue from an older checkpoint, and the status say so."""
    job: dict[str, Any] = field(default_factory=dict)
    """What the job has more."""


def _turn(state: Any) -> Act:
    return lambda stage: stage.store.valve.turn(state)


def _signal(role: str, number: int, *, agents_too: bool = True) -> Act:
    return lambda stage: stage.signal(role, number, agents_too=agents_too)


def _nothing(_: Stage) -> None:
    pass


def _damage(*, cut: bool) -> Act:
    def act(stage: Stage) -> None:
        stage.patch({"runPolicy": {"suspend": True}})
        stage.wait_for_no_pods()
        stage.store.damage(f"checkpoints/{stage.job}-", "state.pt", cut=cut)

    return act


def _resume(stage: Stage) -> None:
    stage.patch({"runPolicy": {"suspend": False}})


def _kill_daemon(name: str) -> Act:
    def act(stage: Stage) -> None:
        process = Daemons(stage.cluster.home / "cluster" / "processes", detached=True).find(name)
        assert process, f"{name} does not run"
        process.signal(signal.SIGKILL)

    return act


def _start_daemons(stage: Stage) -> None:
    up(stage.cluster.home, console=Console(quiet=True))


def _deny(stage: Stage) -> None:
    stage.cluster.apply(build_secret(stage.store.variables("not-the-password")))


def _allow(stage: Stage) -> None:
    stage.cluster.apply(build_secret(stage.store.variables()))


def _lose_node(stage: Stage) -> None:
    """Stop everything on the node: its agent answers nobody, and a pod of it goes on neither."""
    _signal_node(stage, signal.SIGSTOP)
    stage.signal("worker-1", signal.SIGSTOP)


def _return_node(stage: Stage) -> None:
    _signal_node(stage, signal.SIGCONT)


def _signal_node(stage: Stage, number: int) -> None:
    process = Daemons(stage.cluster.home / "cluster" / "processes", detached=True).find(NODE_AGENT)
    assert process, "the node agent does not run"
    process.signal(number)


def _fill_disk(stage: Stage) -> None:
    subprocess.run(["cp", "/dev/zero", str(stage.filler)], stderr=subprocess.DEVNULL, check=False)


def _free_disk(stage: Stage) -> None:
    stage.filler.unlink()


FAULTS = (
    Fault("none", TRAINS, _nothing, _nothing, 0),
    Fault("store closed", BEFORE, _turn("closed"), _turn("open"), 20, f"DatasetUnreadable.*{_CLOSED}"),
    Fault("store silent", BEFORE, _turn("silent"), _turn("open"), 20, "DatasetUnreadable.*did not answer"),
    Fault("store closed", STARTED, _turn("closed"), _turn("open"), 20, f"fetching the dataset.*{_CLOSED}"),
    Fault("store silent", STARTED, _turn("silent"), _turn("open"), 20, "fetching the dataset"),
    Fault("store closed", TRAINS, _turn("closed"), _turn("open"), 25, f"step .* not saved.*{_CLOSED}"),
    Fault("store silent", TRAINS, _turn("silent"), _turn("open"), 20),
    Fault("store slow", BEFORE, _turn("slow"), _turn("open"), 60),
    Fault("store closed", ENDS, _turn("closed"), _turn("open"), 20, f"publishing the model.*{_CLOSED}"),
    Fault("store silent", ENDS, _turn("silent"), _turn("open"), 20, "publishing the model"),
    Fault("credentials denied", BEFORE, _deny, _allow, 30, "SignatureDoesNotMatch", restarts=(1, 1)),
    Fault("checkpoint cut off", TRAINS, _damage(cut=True), _resume, 2, older=True),
    Fault("checkpoint corrupted", TRAINS, _damage(cut=False), _resume, 2, older=True),
    Fault("disk full", TRAINS, _fill_disk, _free_disk, 20, "[Nn]o space is left", restarts=(0, 1)),
    Fault(
        "image missing", BEFORE, _nothing, _nothing, 0, "ErrImagePull|ImagePullBackOff", phase="Failed",
        job={"image": "fairlead/nothing:0", "preRunningDeadlineSeconds": 20},
    ),
    Fault(
        "quota exceeded", BEFORE, lambda stage: stage.cluster.apply(build_quota(2)),
        lambda stage: stage.delete("resourcequota", "chaos"), 20, "exceeded quota",
    ),
    Fault("worker killed", TRAINS, _signal("worker-1", signal.SIGKILL), _nothing, 0, "[Ww]orker 1", restarts=(1, 1)),
    Fault("training killed", TRAINS, _signal("worker-1", signal.SIGKILL, agents_too=False), _nothing, 0,
          "Worker 1.*SIGKILL", restarts=(1, 1)),
    Fault("worker paused briefly", TRAINS, _signal("worker-1", signal.SIGSTOP), _signal("worker-1", signal.SIGCONT), 6),
    Fault("worker paused", TRAINS, _signal("worker-1", signal.SIGSTOP), _signal("worker-1", signal.SIGCONT), 40,
          "[Ww]orker 1", restarts=(1, 1)),
    Fault("node lost", TRAINS, _lose_node, _return_node, 40, "[Ww]orker 1", restarts=(1, 1)),
    Fault("launcher killed", TRAINS, _signal("launcher", signal.SIGKILL), _nothing, 0, "[Ll]auncher", restarts=(1, 1),
          elastic_restarts=(1, 1)),
    Fault("launcher paused", TRAINS, _signal("launcher", signal.SIGSTOP), _signal("launcher", signal.SIGCONT), 40,
          "[Ll]auncher|could not be reached", restarts=(1, 1), elastic_restarts=(1, 1)),
    Fault("operator killed", TRAINS, _kill_daemon(OPERATOR), _start_daemons, 5),
    Fault("API server killed", TRAINS, _kill_daemon("kube-apiserver"), _start_daemons, 5),
    Fault("etcd killed", TRAINS, _kill_daemon("etcd"), _start_daemons, 5),
)  # fmt: skip
