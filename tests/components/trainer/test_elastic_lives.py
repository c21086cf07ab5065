"""Whole lives of elastic runs, seeded: each ends, or makes progress, whatever happens to its workers."""

import random
from dataclasses import dataclass, field

import pytest
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure
from fairlead_trainer.backends.base import Member, Slot
from fairlead_trainer.events import (
    Announce,
    Arrived,
    Assign,
    Assigned,
    Beat,
    Event,
    Finished,
    Gone,
    Prepare,
    Prepared,
    Registered,
    Tick,
)
from fairlead_trainer.membership import MemberId
from fairlead_trainer.run import step
from fairlead_trainer.state import Rejected, Run, State, begin

from .test_elastic import LEAVE, build_run

STEPS, COMMIT, TROUBLE = 120, 5, 400
"""Steps of a training, one a second; steps between two commits; and the seconds in which workers are in trouble."""
PEER_LOST = "Connection closed by peer"
LIMIT = 3000
"""More seconds than all limits together."""


@dataclass
class Worker:
    """An agent and its process, as the framework behaves."""

    id: MemberId
    process: str = "none"
    """none, importing, waiting (for the next epoch), connecting, training, held_up (until others begin an epoch),
    hanging, broken (it could not connect), removed, ended."""
    epoch: int = -1
    """The epoch of which its process is a part."""
    leaving: int | None = None
    """The seconds until its pod is killed."""
    reported: bool = False
    silent: bool = False
    held_up: int = 0
    """For how many seconds its process has been held up."""
    imports: int = 0
    """The seconds until its process asks for its first place."""


@dataclass
class World:
    """A run, its pods, and what the operator does with them."""

    run: Run
    rng: random.Random
    now: float = 1000.0
    desired: int = 3
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
            if isinstance(order, Prepare):
                id_ = MemberId(order.member.worker, order.member.instance)
                self.do(Prepared(id_, [Slot(order.member.worker, {})]))

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
                assert pod.process == "waiting", f"{pod} begins an epoch before it waits for one"
                pod.process, pod.epoch = "connecting", order.membership.epoch
            elif pod.process == "waiting" and (pod.id.worker, pod.id.instance) not in held:
                pod.process = "removed"
        present = [member for member in following if self.find(member)]
        assert present == following, "an epoch begins with a process that is dead"
        self.members, self.told, self.done = following, False, self.committed
        slots = {member.worker: [Slot(rank, {})] for rank, member in enumerate(order.members)}
        self.do(Assigned(order.membership, slots))

    def live(self) -> None:
        """Let a second pass."""
        self.now += 1
        self.operate()
        self.free()
        self.connect()
        self.train()
        for pod in list(self.pods.values()):
            self.beat(pod)
        self.do(Tick())

    def operate(self) -> None:
        for worker in [worker for worker in self.pods if worker >= self.desired]:
            self.stop(worker)
        for worker in range(self.desired):
            if worker not in self.pods and self.rng.random() < 0.2:
                self.started += 1
                self.pods[worker] = self.new_worker(worker)
        for worker, pod in list(self.pods.items()):
            if pod.leaving is not None:
                pod.leaving -= 1
                if pod.leaving < 0:
                    self.remove(worker)

    def new_worker(self, worker: int) -> Worker:
        return Worker(MemberId(worker, f"agent-{self.started}"), imports=self.rng.randint(0, 40))

    def stop(self, worker: int) -> None:
        """Delete a pod, with its grace period."""
        if self.pods[worker].leaving is None:
            self.pods[worker].leaving = 30

    def find(self, id_: MemberId) -> Worker | None:
        pod = self.pods.get(id_.worker)
        return pod if pod and pod.id == id_ else None

    def remove(self, worker: int) -> None:
        """End a pod; its process's connection to the rendezvous is closed."""
        pod = self.pods.pop(worker)
        if pod.process == "waiting":
            self.do(Gone(pod.id))

    def connect(self) -> None:
        """Let the processes of a new epoch connect; if one of them is dead, none of the others can."""
        connecting = [pod for pod in self.pods.values() if pod.process == "connecting"]
        complete = all(self.find(member) for member in self.members)
        for pod in connecting:
            pod.process = "training" if complete else "broken"

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
        """Let processes that waited for others go, which have begun another epoch, or after the framework's limit."""
        current = self.state.membership.epoch if self.state.membership else -1
        held_up = [pod for pod in self.pods.values() if pod.process == "held_up"]
        for pod in held_up:
            pod.held_up += 1
        limit = self.run.backend.notice_seconds
        self.leave([pod for pod in held_up if pod.epoch < current or pod.held_up > limit])

    def leave(self, pods: list[Worker]) -> None:
        for pod in pods:
            pod.process, pod.held_up = "waiting", 0
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
                pod.process = "importing"
                if pod.leaving is not None:
                    del self.pods[pod.id.worker]  # its agent ends at once
            elif pod.process == "broken":
                del self.pods[pod.id.worker]
                failure = Failure(worker=pod.id.worker, exit_code=134, reason="Killed", log_tail=PEER_LOST)
                self.do(Finished(pod.id, failure=failure))
            elif pod.process == "removed" or (pod.leaving is not None and self.is_newcomer(pod)):
                self.do(Finished(pod.id, stopped="stopped by a signal"))
                del self.pods[pod.id.worker]
            elif pod.process == "ended" and (pod.id != self.members[0] or self.state.others_finished(pod.id)):
                pod.reported = True
                self.do(Finished(pod.id, codes=[0]))
            else:
                progress = ProgressReport(step=self.done) if self.members[:1] == [pod.id] else None
                leaving, ended = pod.leaving is not None, pod.process == "ended"
                self.do(Beat(pod.id, progress, leaving=leaving, ended=ended))
                if pod.process == "importing":
                    self.go_on_importing(pod)
        except Rejected:
            del self.pods[pod.id.worker]

    def is_newcomer(self, pod: Worker) -> bool:
        """Return whether a process has no place yet; an agent that leaves then is told to stop."""
        return pod.process in ("importing", "waiting") and pod.id not in self.members

    def go_on_importing(self, pod: Worker) -> None:
        pod.imports -= 1
        if pod.imports < 0:
            pod.process = "waiting"
            epoch = self.state.membership.epoch if self.state.membership else -1
            self.do(Arrived(pod.id, epoch, complete=True))

    def trouble(self) -> None:
        """Let something happen to a worker."""
        worker = self.rng.choice(list(self.pods) or [0])
        pod = self.pods.get(worker)
        match self.rng.choice(["kill", "fail", "silent", "evict", "scale", "again", "hang"]):
            case "kill" if pod:
                self.remove(worker)
            case "fail" if pod and pod.process in ("importing", "training"):
                del self.pods[worker]
                failure = Failure(worker=worker, exit_code=3, reason="Exited", log_tail="x")
                self.do(Finished(pod.id, failure=failure))
            case "silent" if pod:
                pod.silent = True
                pod.leaving = 40
            case "evict" if pod:
                self.stop(worker)
            case "scale":
                self.desired = self.rng.randint(self.run.bounds.least, self.run.bounds.most)
            case "again" if pod:
                self.started += 1
                if pod.process == "waiting":
                    self.do(Gone(pod.id))
                self.pods[worker] = self.new_worker(worker)
            # of one that trains alone nobody can tell but its job's progressDeadlineSeconds
            case "hang" if pod and pod.process == "training" and len(self.members) > 1:
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
