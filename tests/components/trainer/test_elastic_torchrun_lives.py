"""Whole lives of elastic torchrun runs, seeded: each ends, and no worker is lost because another one died."""

import random
from dataclasses import dataclass, field

import pytest
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure
from fairlead_trainer.backends.base import Member, Slot
from fairlead_trainer.events import Announce, Assign, Assigned, Beat, Event, Finished, Left, Registered, Tick
from fairlead_trainer.losses import is_recalled
from fairlead_trainer.membership import MemberId
from fairlead_trainer.run import step
from fairlead_trainer.state import Rejected, Run, State, begin

from .test_elastic import build_run

STEPS, SAVE, TROUBLE, LIMIT = 120, 5, 400, 3000
"""Steps of a training, one a second; steps between two snapshots; the seconds in which workers are in trouble."""


@dataclass
class Worker:
    """An agent and its processes."""

    id: MemberId
    process: str = "none"
    """none, training, failed, stopping, waiting (for the next epoch), ended."""
    epoch: int = -1
    words: str = ""
    """What the processes said when they failed."""
    leaving: int | None = None
    """The seconds until its pod is killed."""
    silent: bool = False
    done: bool = False
    """Whether its success was reported."""


@dataclass
class World:
    """A run, its pods, and what the operator does with them."""

    run: Run
    rng: random.Random
    now: float = 1000.0
    desired: int = 3
    step: int = 0
    saved: int = 0
    pods: dict[int, Worker] = field(default_factory=dict)
    members: list[MemberId] = field(default_factory=list)
    epoch: int = -1
    started: int = 0
    guilty: set[MemberId] = field(default_factory=set)
    """Those that anything has happened to."""
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = begin(self.run, self.now)

    def do(self, event: Event) -> None:
        before = self.state
        self.state, orders = step(self.run, before, event, self.now)
        for id_ in before.membership.members if before.membership else ():
            known = before.facts.agents.get(id_.worker)
            after = self.state.facts.agents.get(id_.worker)
            is_lost = known and known.instance == id_.instance and not (after and after.instance == id_.instance)
            assert not is_lost or id_ in self.guilty, f"{id_} is lost, to which nothing has happened"
        for order in orders:
            assert not isinstance(order, Announce)
            if isinstance(order, Assign):
                self.begin(order)

    def begin(self, order: Assign) -> None:
        following = list(order.membership.members)
        assert self.run.bounds.least <= len(following) <= self.run.bounds.most
        assert order.membership.epoch == self.epoch + 1
        assert not self.members or following[0] in self.members, "a newcomer would overwrite the state of the others"
        for pod in self.pods.values():
            # the agents poll; what matters is that no process of the last epoch runs in one that goes on
            assert pod.process in ("none", "waiting") or pod.id not in following, f"{pod} still runs"
        self.members, self.epoch, self.step = following, order.membership.epoch, self.saved
        slots = {member.worker: [Slot(rank, {})] for rank, member in enumerate(order.members)}
        self.do(Assigned(order.membership, slots))

    def live(self) -> None:
        """Let a second pass."""
        self.now += 1
        self.operate()
        self.train()
        pods = list(self.pods.values())
        self.rng.shuffle(pods)
        for pod in pods:
            if self.pods.get(pod.id.worker) is pod and not pod.silent:
                self.act(pod)
        self.do(Tick())

    def operate(self) -> None:
        for worker in [worker for worker in self.pods if worker >= self.desired]:
            self.stop(worker)
        for worker in range(self.desired):
            if worker not in self.pods and self.rng.random() < 0.2:
                self.add(worker)
        for pod in list(self.pods.values()):
            if pod.leaving is not None:
                pod.leaving -= 1
                if pod.leaving < 0:
                    self.kill(pod)

    def add(self, worker: int) -> None:
        self.started += 1
        self.pods[worker] = Worker(MemberId(worker, f"agent-{self.started}"))

    def kill(self, pod: Worker) -> None:
        self.guilty.add(pod.id)
        if self.pods.get(pod.id.worker) is pod:
            del self.pods[pod.id.worker]

    def stop(self, worker: int) -> None:
        self.guilty.add(self.pods[worker].id)
        if self.pods[worker].leaving is None:
            self.pods[worker].leaving = 30

    def train(self) -> None:
        """Do one step if all processes of the epoch are there; those that miss a peer fail, soon or late."""
        found = [self.pods.get(id_.worker) for id_ in self.members]
        there = [pod for pod, id_ in zip(found, self.members, strict=True) if pod and pod.id == id_]
        training = [pod for pod in there if pod.process == "training" and pod.epoch == self.epoch]
        if training and len(training) == len(self.members):
            self.step += 1
            if self.step % SAVE == 0:
                self.saved = self.step
            if self.step >= STEPS:
                self.saved = STEPS
                for pod in training:
                    pod.process = "ended"
            return
        if any(pod.epoch != self.epoch for pod in there):
            return  # they start, and wait for each other
        for pod in training:
            if self.rng.random() < 0.5:
                pod.process = "failed"
                pod.words = self.rng.choice(["Connection closed by peer", "Broken pipe", "Connection reset by peer"])

    def act(self, pod: Worker) -> None:
        """Let an agent do what it does each second; it ends if the launcher does not know it."""
        try:
            if pod.process in ("none", "waiting") and pod.id in self.members and pod.epoch != self.epoch:
                pod.process, pod.epoch = "training", self.epoch
            if pod.process == "none":
                member = Member(pod.id.worker, "10.0.0.1", "eth0", 1, "", 4000, pod.id.instance)
                self.do(Registered(pod.id, member))
                if pod.leaving is not None:
                    self.kill(pod)
            elif pod.process in ("failed", "waiting", "stopping"):
                self.leave(pod)
            else:
                self.beat(pod)
        except Rejected:
            assert pod.id in self.guilty, f"{pod.id} is rejected, to which nothing has happened"
            del self.pods[pod.id.worker]

    def leave(self, pod: Worker) -> None:
        failure = None
        if pod.process == "failed":
            failure = Failure(worker=pod.id.worker, exit_code=1, reason="Exited", log_tail=pod.words)
        pod.process = "waiting"
        self.do(Left(pod.id, pod.epoch, 4000, failure))
        if pod.leaving is not None and self.epoch > pod.epoch and pod.id not in self.members:
            self.do(Finished(pod.id, stopped="stopped by a signal"))
            self.kill(pod)

    def beat(self, pod: Worker) -> None:
        if pod.done:
            return
        ended = pod.process == "ended"
        progress = ProgressReport(step=self.step) if pod.id == self.members[0] else None
        self.do(Beat(pod.id, progress, leaving=pod.leaving is not None, ended=ended, epoch=pod.epoch))
        if is_recalled(self.run, self.state) and pod.epoch == self.epoch:
            pod.process = "stopping"
        elif ended and self.state.all_ended():
            pod.done = True
            self.do(Finished(pod.id, codes=[0]))

    def trouble(self) -> None:
        """Let something happen to a worker."""
        pod = self.rng.choice(list(self.pods.values()) or [None])
        match self.rng.choice(["kill", "fail", "silent", "evict", "scale", "again"]):
            case "scale":
                self.desired = self.rng.randint(self.run.bounds.least, self.run.bounds.most)
            case "kill" if pod:
                self.kill(pod)
            case "fail" if pod and pod.process == "training":
                self.guilty.add(pod.id)
                pod.process, pod.words = "failed", "no such label"
            case "silent" if pod:
                self.guilty.add(pod.id)
                pod.silent, pod.leaving = True, 40
            case "evict" if pod:
                self.stop(pod.id.worker)
            case "again" if pod:
                self.kill(pod)
                self.add(pod.id.worker)


def live(seed: int, least: int, rate: float, cooldown: int = 0) -> World:
    """Let a run live until it ends."""
    rng = random.Random(seed)
    world = World(build_run(least=least, most=4, cooldown=cooldown, backend="torchrun"), rng)
    begun = world.now
    while not world.state.ended:
        if world.now - begun < TROUBLE and rng.random() < rate:
            world.trouble()
        world.live()
        assert world.now - begun < LIMIT, "it hangs"
    return world


@pytest.mark.parametrize("seed", range(300))
def test_every_life_ends_and_only_those_are_lost_to_whom_something_has_happened(seed: int) -> None:
    rng = random.Random(seed)
    world = live(seed, rng.randint(1, 2), rng.choice([0.005, 0.02, 0.1]), rng.choice([0, 20]))
    if world.state.phase == "Failed":
        assert world.state.cause is not None
        return
    assert world.saved == STEPS
    assert all(pod.done for pod in world.pods.values() if pod.id in world.members)


def test_most_lives_with_few_troubles_succeed() -> None:
    phases = [live(seed, 1, 0.01).state.phase for seed in range(60)]
    assert phases.count("Succeeded") > 50
