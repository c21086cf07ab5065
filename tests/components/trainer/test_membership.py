"""Whole lives of memberships, seeded: arrivals, losses, flapping hosts, cool-downs, changes of the desired number."""

import random
from dataclasses import dataclass, field, replace

import pytest
from fairlead_trainer.membership import Bounds, Candidate, Decision, MemberId, Membership, Observed, plan_membership

ELASTIC = Bounds(2, 4, settle=10, cooldown=30, patience=600)


def candidate(worker: int, since: float = 0, instance: str = "a", leaving: bool = False) -> Candidate:
    return Candidate(MemberId(worker, instance), since, host=f"host-{worker}", leaving=leaving)


def plan(current: Membership | None, now: float, *candidates: Candidate, desired: int = 4, **facts: object) -> Decision:
    observed = Observed(candidates, desired)
    return plan_membership(ELASTIC, current, replace(observed, **facts), now)  # type: ignore[arg-type]


def workers(decision: Decision) -> list[int]:
    assert decision.membership is not None
    return [member.worker for member in decision.membership.members]


def running(*indices: int, epoch: int = 0) -> Membership:
    return Membership(epoch, tuple(MemberId(index, "a") for index in indices))


def test_all_desired_workers_start_at_once_in_the_order_of_their_numbers() -> None:
    decision = plan(None, 5, candidate(2, 5), candidate(0, 1), candidate(3, 2), candidate(1, 3))
    assert workers(decision) == [0, 1, 2, 3]
    assert decision.membership is not None and decision.membership.epoch == 0


def test_fewer_workers_start_once_no_other_has_come_for_a_while() -> None:
    early = plan(None, 5, candidate(0, 1), candidate(3, 5))
    assert early == Decision(None, again=15)
    assert workers(plan(None, 15, candidate(0, 1), candidate(3, 5))) == [0, 3]


def test_too_few_workers_wait_and_end_the_patience() -> None:
    assert plan(None, 100, candidate(0), short_since=50) == Decision(None, short=True, again=650)
    assert plan(None, 650, candidate(0), short_since=50) == Decision(None, short=True, hopeless=True)


def test_a_loss_takes_effect_at_once_and_survivors_keep_their_order() -> None:
    decision = plan(running(3, 0, 1), 100, candidate(0), candidate(3))
    assert decision.membership == running(3, 0, epoch=1)


def test_a_worker_that_was_started_again_is_a_loss_and_a_newcomer() -> None:
    again = candidate(0, 99, instance="b")
    decision = plan(running(0, 1), 100, again, candidate(1), desired=2)
    assert decision.membership == Membership(1, (MemberId(1, "a"), MemberId(0, "b")))


def test_newcomers_are_collected_and_join_behind() -> None:
    assert plan(running(1, 2), 100, candidate(0, 95), candidate(1), candidate(2)) == Decision(running(1, 2), again=105)
    assert workers(plan(running(1, 2), 105, candidate(0, 95), candidate(1), candidate(2))) == [1, 2, 0]


def test_newcomers_that_complete_the_job_join_at_once() -> None:
    decision = plan(running(1, 2), 100, candidate(0, 100), candidate(1), candidate(2), candidate(3, 99))
    assert workers(decision) == [1, 2, 0, 3]


def test_a_host_on_which_a_worker_failed_returns_after_its_cooldown() -> None:
    again = candidate(2, 90, instance="b")
    facts = {"failed": {"host-2": 80.0}}
    cooling = plan(running(0, 1), 100, candidate(0), candidate(1), again, **facts)
    assert cooling == Decision(running(0, 1), again=110)
    assert workers(plan(running(0, 1), 110, candidate(0), candidate(1), again, **facts)) == [0, 1, 2]


def test_fewer_desired_workers_end_those_with_the_highest_numbers() -> None:
    four = [candidate(index) for index in range(4)]
    assert workers(plan(running(3, 0, 2, 1), 100, *four, desired=2)) == [0, 1]
    assert workers(plan(running(3, 0, 2, 1), 100, *four, desired=1)) == [0, 1]  # the least number


def test_a_leaving_worker_is_left_out_even_while_it_still_trains() -> None:
    assert workers(plan(running(0, 1, 2), 100, candidate(0), candidate(1, leaving=True), candidate(2))) == [0, 2]


def test_a_fixed_job_needs_all_its_workers() -> None:
    bounds = Bounds.fixed(2)
    one, both = Observed((candidate(0),), 2), Observed((candidate(0), candidate(1)), 2)
    assert plan_membership(bounds, None, one, 1e6) == Decision(None, short=True)
    decision = plan_membership(bounds, None, both, 0)
    assert decision == Decision(running(0, 1))
    assert plan_membership(bounds, decision.membership, one, 1) == Decision(running(0, 1), short=True)


@pytest.mark.parametrize(("least", "most"), [(0, 1), (3, 2), (-1, -1)])
def test_bounds_are_checked(least: int, most: int) -> None:
    with pytest.raises(ValueError, match=f"least: got {least}, expected at least 1 and at most {most}"):
        Bounds(least, most)


@dataclass
class Life:
    """A job's life: what happens is random, what is decided is checked at every step."""

    bounds: Bounds
    rng: random.Random
    now: float = 0.0
    desired: int = 0
    alive: dict[int, Candidate] = field(default_factory=dict)
    failed: dict[str, float] = field(default_factory=dict)
    short_since: float | None = None
    current: Membership | None = None
    again: float | None = None

    def __post_init__(self) -> None:
        self.desired = self.rng.randint(self.bounds.least, self.bounds.most)

    def happen(self) -> None:
        """Let one thing happen to a random worker of a random host; several workers may share a host."""
        worker = self.rng.randrange(self.bounds.most + 2)
        kind = self.rng.choice(["arrive", "arrive", "arrive", "fail", "vanish", "leave", "scale", "flap"])
        host = f"host-{worker // 2}"
        arrival = Candidate(MemberId(worker, f"{self.rng.getrandbits(32):08x}"), self.now, host)
        if kind == "arrive" and worker not in self.alive:
            self.alive[worker] = arrival
        elif kind == "flap":
            self.failed[host] = self.now
            self.alive[worker] = arrival
        elif kind in ("fail", "vanish") and self.alive.pop(worker, None) and kind == "fail":
            self.failed[host] = self.now
        elif kind == "leave" and worker in self.alive:
            self.alive[worker] = replace(self.alive[worker], leaving=True)
        elif kind == "scale":
            self.desired = self.rng.randint(0, self.bounds.most + 2)

    def observe(self) -> Observed:
        shuffled = self.rng.sample(sorted(self.alive.values(), key=lambda c: c.id), len(self.alive))
        return Observed(tuple(shuffled), self.desired, dict(self.failed), self.short_since)

    def decide(self) -> Decision:
        decision = plan_membership(self.bounds, self.current, self.observe(), self.now)
        self.check(decision)
        self.current, self.again = decision.membership, decision.again
        self.short_since = (self.now if self.short_since is None else self.short_since) if decision.short else None
        repeated = plan_membership(self.bounds, self.current, self.observe(), self.now)
        assert repeated.membership == self.current, "the same facts must not lead to another epoch"
        return decision

    def check(self, decision: Decision) -> None:
        before, after = self.current, decision.membership
        assert decision.again is None or decision.again >= self.now
        available = {c.id: c for c in self.alive.values() if not c.leaving}
        if decision.short:
            assert after == before, "no epoch begins with too few workers"
            assert decision.again is not None or self.short_since is None or decision.hopeless
            return
        assert not decision.hopeless
        if after is None:
            return
        assert self.bounds.least <= len(after.members) <= self.bounds.most
        assert all(member in available for member in after.members), "only living workers train"
        assert len({member.worker for member in after.members}) == len(after.members)
        if after == before:
            return
        known = before.members if before else ()
        assert after.epoch == (before.epoch + 1 if before else 0)
        assert after.members != known, "no epoch without a change"
        staying = [member for member in after.members if member in known]
        assert list(after.members[: len(staying)]) == staying == [m for m in known if m in staying]
        for member in after.members[len(staying) :]:
            since = self.failed.get(available[member].host)
            assert since is None or since + self.bounds.cooldown <= self.now, "the host cools down"

    def settle(self) -> None:
        """Let time pass without events: decisions must come to an end, with as many workers as there can be."""
        for _ in range(len(self.alive) + 5):
            if self.again is None:
                break
            self.now = max(self.now, self.again)
            if self.decide().hopeless:
                return
        else:
            pytest.fail("decisions do not come to an end")
        desired = max(self.bounds.least, min(self.bounds.most, self.desired))
        able = sum(not c.leaving for c in self.alive.values())
        if able >= self.bounds.least:
            assert self.current is not None
            alive = sum(member in {c.id for c in self.alive.values()} for member in self.current.members)
            assert alive == len(self.current.members) == min(able, desired)


@pytest.mark.parametrize("seed", range(200))
def test_whole_lives(seed: int) -> None:
    rng = random.Random(seed)
    least = rng.randint(1, 4)
    bounds = Bounds(least, least + rng.choice([0, 0, 1, 4]), rng.choice([0, 5]), rng.choice([0, 30]), patience=100)
    life = Life(bounds, rng)
    for _ in range(60):
        life.happen()
        if life.decide().hopeless:
            return
        for _ in range(20):
            end = life.now + rng.expovariate(1 / 4)
            if life.again is None or life.again > end:
                break
            life.now = life.again
            life.decide()
        life.now = max(life.now, end)
        if life.decide().hopeless:
            return
    life.settle()
