"""Events: bounded in bytes, and without effect on anything else."""

from fairlead.core.plan import Event
from fairlead.kube.events import send_event
from fairlead.kube.kinds import TRAINING_JOB

from tests.support.resources import make_job
from tests.support.scripted_api import ScriptedApi, scripted_client, status

JOB = make_job()


async def test_a_long_message_is_cut_by_bytes() -> None:
    api = ScriptedApi(writes=[{"metadata": {}}])
    async with scripted_client(api) as kube:
        await send_event(kube, JOB, TRAINING_JOB, Event("Warning", "Failed", "█" * 900, "Failed"))
    note = api.bodies[0]["note"]
    assert 900 < len(note.encode()) <= 1000
    assert set(note) <= {"█", "\n", "…", " "}  # the middle is left out


async def test_a_rejected_event_is_no_error() -> None:
    api = ScriptedApi(writes=[status(422, "Invalid")])
    async with scripted_client(api) as kube:
        await send_event(kube, JOB, TRAINING_JOB, Event("Warning", "Failed", "why", "Failed"))
    assert len(api.requests) == 1


async def test_the_same_failure_of_the_next_attempt_has_its_own_event() -> None:
    api = ScriptedApi(writes=[{"metadata": {}}])
    async with scripted_client(api) as kube:
        for occasion in ("0", "1", "1"):
            await send_event(kube, JOB, TRAINING_JOB, Event("Warning", "Failed", "why", "Failed", occasion))
    first, second, again = [body["metadata"]["name"] for body in api.bodies]
    assert first != second == again
