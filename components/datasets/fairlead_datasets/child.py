"""Run a command's work in a child process, and report a child that crashes.

The libraries that read models are native code, and not all of it survives a damaged file.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_REASONS = {
    signal.SIGSEGV: "a library crashed on the model, which is damaged or hostile",
    signal.SIGBUS: "a library crashed on the model, which is damaged or hostile",
    signal.SIGFPE: "a library crashed on the model, which is damaged or hostile",
    signal.SIGABRT: "a library gave up on the model, which is damaged or hostile",
    signal.SIGKILL: "there was probably too little memory for the model and the dataset",
}


def run(program: str, work: Callable[[], int]) -> int:
    """Run a command's work in a child process and return its exit code: 1 if a signal has ended it."""
    # Nothing may have been imported yet that has threads, which a fork would lose: `work` imports it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until there is a child to forward it to
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return work()

    def forward(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the child, too
    signal.signal(signal.SIGTERM, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = signal.Signals(os.WTERMSIG(status))
    reason = _REASONS.get(number, "nothing was published")
    sys.stderr.write(f"{program}: ended by {number.name}: {reason}\n")
    return 1
