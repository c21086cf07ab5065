"""The artifact store is read beside the reconciles: bounded in time and per namespace, with the last answer kept."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from fairlead.kube.inquiries import Inquiries, Question
from fairlead.kube.kinds import Key

KEY = Key("TrainingJob", "team-a", "digits")


class Store:
    """A store that hangs until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.started: list[str] = []

    def read(self, name: str) -> str:
        self.started.append(name)
        self.released.wait(60)
        return f"facts of {name}"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = Store()
    yield store
    store.released.set()


def ask(read: Callable[[], str], subject: str = "digits") -> Question[str]:
    return Question(subject, read, lambda problem: f"failed: {problem}")


def make_reader(seconds: float = 60) -> tuple[Inquiries, "asyncio.Queue[Key]"]:
    answered: asyncio.Queue[Key] = asyncio.Queue()
    return Inquiries(answered.put_nowait, seconds), answered


async def test_a_reconcile_never_waits_and_is_repeated_when_the_answer_arrives() -> None:
    reader, answered = make_reader()
    question = ask(lambda: "facts")
    assert reader.latest(KEY, question, 60) is None
    assert await answered.get() == KEY
    assert reader.latest(KEY, question, 60) == "facts"
    assert answered.empty()


async def test_a_store_that_hangs_is_a_fact_after_a_time(store: Store) -> None:
    reader, answered = make_reader(seconds=0.05)
    question = ask(lambda: store.read("digits"))
    reader.latest(KEY, question, 60)
    await answered.get()
    assert reader.latest(KEY, question, 60) == "failed: the artifact store did not answer within 0.05 s"


async def test_a_namespace_whose_store_hangs_does_not_delay_another(store: Store) -> None:
    reader, answered = make_reader()
    for number in range(40):  # more than there are threads
        name = f"job-{number}"
        reader.latest(Key("TrainingJob", "hanging", name), ask(lambda name=name: store.read(name)), 60)
    reader.latest(KEY, ask(lambda: "facts"), 60)
    assert await answered.get() == KEY
    assert len(store.started) == 4


async def test_an_outdated_answer_is_used_only_where_that_is_safe() -> None:
    reader, answered = make_reader()
    question = ask(lambda: "facts")
    reader.latest(KEY, question, 60)
    await answered.get()
    assert reader.latest(KEY, question, 0.0) is None
    assert reader.latest(KEY, question, 0.0, outdated=True) == "facts"


async def test_the_answer_to_another_question_is_dropped(store: Store) -> None:
    reader, answered = make_reader()
    reader.latest(KEY, ask(lambda: store.read("old"), "old"), 60)
    reader.latest(KEY, ask(lambda: "new", "new"), 60)
    await answered.get()
    assert reader.latest(KEY, ask(lambda: "new", "new"), 60) == "new"


async def test_what_cannot_be_parsed_is_a_fact_and_no_exception() -> None:
    reader, answered = make_reader()

    def read() -> str:
        raise RecursionError

    reader.latest(KEY, ask(read), 60)
    await answered.get()
    assert reader.latest(KEY, ask(read), 60) == "failed: could not be read (RecursionError)"


async def test_a_coroutine_is_asked_without_a_thread_and_bounded_in_the_same_way() -> None:
    answered: asyncio.Queue[Key] = asyncio.Queue()
    reader = Inquiries(answered.put_nowait, 0.05, per_namespace=2, source="the Service")
    asked: list[str] = []

    async def hang(name: str) -> str:
        asked.append(name)
        await asyncio.Event().wait()
        return name

    async def respond() -> str:
        return "200"

    for name in ("a", "b", "c"):
        reader.latest(Key("ModelDeployment", "hanging", name), Question(name, partial(hang, name), str), 60)
    reader.latest(KEY, Question("x", respond, str), 60)
    assert await answered.get() == KEY
    assert asked == ["a", "b"]
    key = await answered.get()
    assert reader.latest(key, Question(key.name, partial(hang, key.name), str), 60) == (
        "the Service did not answer within 0.05 s"
    )
