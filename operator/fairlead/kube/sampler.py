"""Asks the sampler, a process for each question, beside the queue's workers."""

import asyncio
import os
import sys
from functools import partial

from fairlead.core.sweep.observed import Suggestions
from fairlead.core.sweep.plan import RETRY_SECONDS
from fairlead.core.sweep.sampling import SamplerQuestion, read_answer
from fairlead.kube.inquiries import Inquiries, Question
from fairlead.kube.kinds import Key
from fairlead.sampler import OPTUNA_MISSING

SECONDS = 60.0
"""How long an answer may take, including the wait for those to other sweeps. Most take two."""
_PROCESSES = 2
"""Samplers that run at a time: each needs about 100 MB."""
_PROGRAM = ("-m", "fairlead.sampler")
_MAX_ERROR = 300
_FRESH = RETRY_SECONDS * 0.9
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_KEPT = ("PATH", "PYTHONPATH", "LANG", "TMPDIR")
"""The variables that a sampler gets of the operator's: none of its credentials."""


class Samplers:
    """The answers to sweeps' questions."""

    def __init__(self, inquiries: Inquiries) -> None:
        self._inquiries = inquiries
        self._free = asyncio.Semaphore(_PROCESSES)

    def observe(self, key: Key, uid: str, question: SamplerQuestion | None) -> Suggestions | None:
        """Return the answer for a sweep; None while it is awaited.

        A question for the same next trial is not asked again when another trial ends meanwhile: with many trials, no
        answer would ever be in time.
        """
        if question is None:
            self.forget(key)
            return None
        subject = (uid, question.numbers[0])
        asked = Question(subject, partial(self._ask, question), lambda problem: Suggestions(problem=problem))
        return self._inquiries.latest(key, asked, _FRESH)

    def forget(self, key: Key) -> None:
        """Drop what is known about a sweep."""
        self._inquiries.forget(key)

    async def _ask(self, question: SamplerQuestion) -> Suggestions:
        async with self._free:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *_PROGRAM, env=_environment(),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                output, errors = await process.communicate(question.model_dump_json(by_alias=True).encode())
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode == OPTUNA_MISSING:
            return Suggestions(problem="Optuna is not installed in the operator's environment: expected fairlead[tpe]")
        if process.returncode:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2][:_MAX_ERROR]
            return Suggestions(problem=f"The sampler exited with code {process.returncode}: {last}")
        return read_answer(question, output)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | _THREADS
