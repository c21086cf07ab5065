"""Whole lives of elastic runs, seeded: each ends, or makes progress, whatever happens to its workers."""

import random
from dataclasses import dataclass, field

import pytest
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure
from fairlead_trainer.backends.base import Member, Slot
from fairlead_trainer.events import Announce, Arrived, Assign, Assigned, Beat, Event, Finished, Registered, Tick
from fairlead_trainer.membership import MemberId
from fairlead_trainer.run import step
from fairlead_trainer.state import Rejected, Run, State, begin

from .test_elastic import LEAVE, build_run

STEPS, COMMIT, TROUBLE = 120, 5, 400
"""Steps of a training, one a second; steps between two commits; and the seconds in which workers are in trouble."""
LIMIT = 3000
"""More seconds than all limits together."""


@dataclass
class Worker:
    """An agent and its process, as the framework behaves."""

    id: MemberId
    process: str = "none"
    """none, training, waiting (for the next epoch), held_up (until others begin one), hanging, removed, ended."""
    epoch: int = -1
    """The epoch of which its process is a part."""
    leaving: int | None = None
    """The seconds until its pod is killed."""
    reported: bool = False
    silent: bool = False


@dataclass
class World:
    """A run, its pods, and what the operator does with them."""

    run: Run
    rng: random.Random
    now: float = 1000.0
    wanted: int = 3
    done: int = 0
    """The steps of the training."""
    committed: int = 0
    told: bool = False
    """Whether the process with rank 0 knows that another epoch waits."""
    pods: dict[int, Worker] = field(default_factory=dict)
    members: list[MemberId] = field(default_factory=list)
    started: int = 0
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = begin(self.run, self.now)

    def do(self, event: Event) -> None:
        before = self.state
        self.state, orders = step(self.run, before, event, self.now)
        self.check_losses(before)
        for order in orders:
            if isinstance(order, Announce):
                self.told = self.told or self.rng.random() < 0.8  # it may not listen yet
            if isinstance(order, Assign):
                self.begin(order)

    def check_losses(self, before: State) -> None:
        """A worker that is only held up is not lost if enough others had left their epoch to free it."""
        elastic = before.elastic
        for pod in self.pods.values():
            if pod.process != "held_up" or pod.silent or self.knows(self.state, pod) or not self.knows(before, pod):
                continue
            assert len(elastic.arrived) < self.run.bounds.least or pod.leaving is not None, f"{pod} is lost"

    @staticmethod
    def knows(state: State, pod: Worker) -> bool:
        agent = state.facts.agents.get(pod.id.worker)
        return agent is not None and agent.instance == pod.id.instance

    def begin(self, order: Assign) -> None:
        """Begin an epoch: the processes that wait go on, new ones start."""
        following = list(order.membership.members)
        assert self.run.bounds.least <= len(following) <= self.run.bounds.most
        assert len({member.worker for member in following}) == len(following)
        assert not self.members or set(following) & set(self.members), "nobody has the state"
        assert not self.members or following[0] in self.members, "a newcomer would overwrite the state of the others"
        held = {(member.worker, member.instance) for member in order.held}
        for pod in self.pods.values():
            if pod.id in following:
                assert pod.process in ("none", "waiting"), f"{pod} begins an epoch before it has left another"
                pod.process, pod.epoch = "training", order.membership.epoch
            elif pod.process == "waiting" and (pod.id.worker, pod.id.instance) not in held:
                pod.process = "removed"
        self.members, self.told, self.done = following, False, self.committed
        slots = {member.worker: [Slot(rank, {})] for rank, member in enumerate(order.members)}
        self.do(Assigned(order.membership, slots))

    def live(self) -> None:
        """Let a second pass."""
        self.now += 1
        self.operate()
        self.free()
        self.train()
        for pod in list(self.pods.values()):
            self.beat(pod)
        self.do(Tick())

    def operate(self) -> None:
        for worker in [worker for worker in self.pods if worker >= self.wanted]:
            self.stop(worker)
        for worker in range(self.wanted):
            if worker not in self.pods and self.rng.random() < 0.2:
                self.started += 1
                self.pods[worker] = Worker(MemberId(worker, f"agent-{self.started}"))
        for worker, pod in list(self.pods.items()):
            if pod.leaving is not None:
                pod.leaving -= 1
                if pod.leaving < 0:
                    del self.pods[worker]

    def stop(self, worker: int) -> None:
        """Delete a pod, with its grace period."""
        if self.pods[worker].leaving is None:
            self.pods[worker].leaving = 30

    def find(self, id_: MemberId) -> Worker | None:
        pod = self.pods.get(id_.worker)
        return pod if pod and pod.id == id_ else None

    def train(self) -> None:
        """Do one step if all processes of the epoch are there; those that miss a peer leave it, or hang."""
        members = [self.find(member) for member in self.members]
        training = [pod for pod in members if pod and pod.process == "training"]
        if training and len(training) == len(self.members):
            self.done += 1
            if self.done % COMMIT == 0:
                self.committed = self.done
                if self.told:
                    self.leave(training)
            if self.done >= STEPS:
                for pod in training:
                    pod.process = "ended"
            return
        for pod in training:
            if self.rng.random() < 0.5:
                chance = self.rng.random()
                if chance < 0.05:
                    pod.process = "hanging"
                elif chance < 0.4:
                    pod.process = "held_up"
                else:
                    self.leave([pod])

    def free(self) -> None:
        """Let processes that waited for others go, which have begun another epoch."""
        current = self.state.membership.epoch if self.state.membership else -1
        self.leave([pod for pod in self.pods.values() if pod.process == "held_up" and pod.epoch < current])

    def leave(self, pods: list[Worker]) -> None:
        for pod in pods:
            pod.process = "waiting"
        for pod in pods:
            self.do(Arrived(pod.id, pod.epoch, complete=True))

    def beat(self, pod: Worker) -> None:
        """Let an agent do what it does each second; it ends if the launcher does not know it."""
        if pod.silent or pod.reported:
            return
        try:
            if pod.process == "none":
                address = f"10.0.0.{self.started}"
                self.do(Registered(pod.id, Member(pod.id.worker, address, "eth0", 1, "", instance=pod.id.instance)))
                if pod.leaving is not None:
                    del self.pods[pod.id.worker]  # its agent ends at once
            elif pod.process == "removed":
                self.do(Finished(pod.id, stopped="stopped by a signal"))
                del self.pods[pod.id.worker]
            elif pod.process == "ended" and (pod.id != self.members[0] or self.state.others_finished(pod.id)):
                pod.reported = True
                self.do(Finished(pod.id, codes=[0]))
            else:
                progress = ProgressReport(step=self.done) if pod.id == self.members[0] else None
                leaving, ended = pod.leaving is not None, pod.process == "ended"
                self.do(Beat(pod.id, progress, leaving=leaving, ended=ended))
        except Rejected:
            del self.pods[pod.id.worker]

    def trouble(self) -> None:
        """Let something happen to a worker."""
        worker = self.rng.choice(list(self.pods) or [0])
        pod = self.pods.get(worker)
        match self.rng.choice(["kill", "fail", "silent", "evict", "scale", "again", "hang"]):
            case "kill" if pod:
                del self.pods[worker]
            case "fail" if pod and pod.process == "training":
                del self.pods[worker]
                failure = Failure(worker=worker, exit_code=3, reason="Exited", log_tail="x")
                self.do(Finished(pod.id, failure=failure))
            case "silent" if pod:
                pod.silent = True
                pod.leaving = 40
            case "evict" if pod:
                self.stop(worker)
            case "scale":
                self.wanted = self.rng.randint(self.run.bounds.least, self.run.bounds.most)
            case "again" if pod:
                self.started += 1
                self.pods[worker] = Worker(MemberId(worker, f"agent-{self.started}"))
            case "hang" if pod and pod.process == "training":
                pod.process = "hanging"


@pytest.mark.parametrize("seed", range(300))
def test_every_life_ends(seed: int) -> None:
    rng = random.Random(seed)
    world = World(build_run(least=rng.randint(1, 2), most=4, cooldown=rng.choice([0, 20])), rng)
    rate, begun = rng.choice([0.005, 0.02, 0.1]), world.now
    while not world.state.ended:
        if world.now - begun < TROUBLE and rng.random() < rate:
            world.trouble()
        world.live()
        assert world.now - begun < LIMIT, "it hangs"
    if world.state.phase == "Failed":
        assert world.state.cause is not None
        return
    assert world.committed == STEPS
    assert all(pod.reported for pod in world.pods.values() if pod.id in world.members)


def test_most_lives_with_few_troubles_succeed() -> None:
    phases = []
    for seed in range(60):
        world = World(build_run(least=1, most=4), random.Random(seed))
        while not world.state.ended:
            if world.now < 1000 + TROUBLE and world.rng.random() < 0.01:
                world.trouble()
            world.live()
        phases.append(world.state.phase)
    assert phases.count("Succeeded") > 40
    assert LEAVE < LIMIT
