"""The monitors of a graph's models, in the model process."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import Monitor
from fairlead_contracts.monitor import MonitorFacts, NodeFacts
from fairlead_contracts.reference import MAX_SLOTS

from ..models import ModelFile
from ..tensors import Signature
from .observer import Observer, describe_problem, read_reference
from .sum import Summary, measure_tensors

_log = logging.getLogger(__name__)


class Monitors:
    """Observes models that have references."""

    def __init__(self, settings: Monitor, predictor: str) -> None:
        self._settings, self._predictor = settings, predictor
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="monitor")
        self._observers: list[Observer] = []
        self._others: list[NodeFacts] = []
        """Models that are not observed."""
        self._slots = MAX_SLOTS

    def open(self, node: str, model: ModelFile, signature: Signature) -> Observer | None:
        """Return the observer of a model; None, which the facts explain, if it has no reference that can be used."""
        try:
            reference = read_reference(model, signature, self._slots)
        except (ContractError, OSError) as error:
            problem = describe_problem(error, model.path)
            _log.warning("the model is not monitored", extra={"node": node, "reason": problem})
            self._others.append(NodeFacts(node=node, digest=model.digest, problem=problem))
            return None
        self._slots -= reference.count_slots()
        observer = Observer(node, model.digest, reference, self._settings, self._executor)
        self._observers.append(observer)
        return observer

    async def read(self) -> tuple[Summary, bytes]:
        """Return a summary, and the facts as JSON."""
        counted = await asyncio.gather(*(asyncio.wrap_future(observer.read()) for observer in self._observers))
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._describe, counted)

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _describe(self, counted: Sequence[NodeFacts]) -> tuple[Summary, bytes]:
        facts = MonitorFacts(predictor=self._predictor, nodes=(*counted, *self._others))
        summary = {
            observer.node: {
                "rows": observer.counts.total_rows,
                "skipped": observer.total_skipped,
                "psi": measure_tensors(node),
            }
            for observer, node in zip(self._observers, counted, strict=True)
        }
        return summary, facts.model_dump_json(by_alias=True).encode()
