"""The processes of one worker, as its agent knows them."""

import os
import queue

from fairlead_trainer.processes import Event, ProcessSet


def test_only_processes_that_were_started_have_succeeded() -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    processes = ProcessSet(events, stop_grace=1)
    # a stop signal may come before they are started, or between two of them
    assert not processes.succeeded([0])
    processes.start(0, ["true"], os.environ)
    events.get(timeout=30)
    assert processes.succeeded([0])
    assert not processes.succeeded([0, 1])
