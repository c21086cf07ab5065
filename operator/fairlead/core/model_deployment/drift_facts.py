"""What graph servers have counted of their models, added up over servers.

Tenants' pods report it: parsed counts are bounded, and so are their sums. Only models of the spec are added up,
whatever predictors and nodes a server names. Servers of another model, or another reference, are not added up either:
of each node, the model counts that most servers have.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from fairlead_contracts.monitor import MonitorFacts, NodeFacts
from fairlead_contracts.reference import MAX_SLOTS, Side

Models = Mapping[str, frozenset[str]]
"""The nodes whose models are monitored, by predictor."""
_LARGEST = (1 << 53) - 1
_Key = tuple[Side, str, int]
_Model = tuple[str, int, int]
"""What servers have in common whose counts are added up: the model, and the rows and a hash of its reference."""


@dataclass(frozen=True)
class MergedColumn:
    """The counts of a column."""

    predictor: str
    node: str
    side: Side
    tensor: str
    index: int
    reference: tuple[int, ...]
    counts: tuple[int, ...]
    reference_rows: int
    """The rows that the reference describes: values of one row are no independent evidence."""
    rows: int


@dataclass(frozen=True)
class MergedDrift:
    """The counts of all models of a deployment."""

    columns: tuple[MergedColumn, ...] = ()
    rows: int = 0
    """The rows of the model that has had the most."""
    models: str = ""
    """A hash of the models; empty if none is monitored."""
    problem: str = ""
    """Why a model is not monitored."""
    partial: bool = False
    """Whether no server has said anything about some model."""


@dataclass
class _Node:
    """The sum of a node's counts, for one model."""

    servers: int = 0
    rows: int = 0
    reference_rows: int = 0
    references: dict[_Key, tuple[int, ...]] = field(default_factory=dict)
    counts: dict[_Key, list[int]] = field(default_factory=dict)


class DriftSum:
    """Adds up what servers report, one after the other."""

    def __init__(self, models: Models) -> None:
        """Add up the counts of these models, and no more slots than one server of each predictor may have."""
        self._models, self._max_slots = models, MAX_SLOTS * len(models)
        self._nodes: dict[tuple[str, str], dict[_Model, _Node]] = {}
        self._problems: Counter[str] = Counter()
        self._heard: set[tuple[str, str]] = set()
        self.slots = 0
        """The number of slots that are kept."""

    def add(self, facts: MonitorFacts) -> None:
        """Add what a server reports."""
        monitored = self._models.get(facts.predictor, frozenset())
        for node in (node for node in facts.nodes if node.node in monitored):
            self._heard.add((facts.predictor, node.node))
            if node.problem is not None or not node.tensors or not node.reference_rows:
                self._problems[f"Node {node.node}: {node.problem or 'nothing is counted'}."] += 1
                continue
            known = self._nodes.setdefault((facts.predictor, node.node), {})
            model = (node.digest, node.reference_rows, _hash_reference(node))
            if model not in known:
                # a tenant whose servers differ all the time must not fill the operator's memory
                size = _count_slots(node)
                if self.slots + size > self._max_slots:
                    continue
                self.slots += size
            _add(known.setdefault(model, _Node()), node)

    def merge(self) -> MergedDrift:
        """Return the sum."""
        chosen = {
            key: max(models.items(), key=lambda item: (item[1].servers, item[1].rows, item[0][0]))
            for key, models in self._nodes.items()
            if models
        }
        columns = [
            column
            for (predictor, name), (_, node) in sorted(chosen.items())
            for column in _list_columns(predictor, name, node)
        ]
        digests = sorted((*key, model[0]) for key, (model, _) in chosen.items())
        return MergedDrift(
            columns=tuple(columns),
            rows=max((node.rows for _, node in chosen.values()), default=0),
            models=sha256(repr(digests).encode()).hexdigest()[:16] if digests else "",
            problem=next((problem for problem, _ in self._problems.most_common(1)), ""),
            partial=len(self._heard) < sum(map(len, self._models.values())),
        )


def _add(total: _Node, node: NodeFacts) -> None:
    total.servers += 1
    total.rows = min(_LARGEST, total.rows + node.rows)
    total.reference_rows = node.reference_rows
    for tensor in node.tensors:
        for column in tensor.columns:
            key = (tensor.side, tensor.name, column.index)
            total.references[key] = column.reference
            before: Sequence[int] = total.counts.get(key) or [0] * len(column.counts)
            total.counts[key] = [min(_LARGEST, a + b) for a, b in zip(before, column.counts, strict=True)]


def _list_columns(predictor: str, name: str, node: _Node) -> Iterable[MergedColumn]:
    for key, reference in node.references.items():
        side, tensor, index = key
        counts = tuple(node.counts[key])
        reference_rows = min(node.reference_rows, sum(reference))
        if reference_rows:
            rows = min(node.rows, sum(counts))
            yield MergedColumn(predictor, name, side, tensor, index, reference, counts, reference_rows, rows)


def _hash_reference(node: NodeFacts) -> int:
    return hash(tuple((t.side, t.name, c.index, c.reference) for t in node.tensors for c in t.columns))


def _count_slots(node: NodeFacts) -> int:
    return sum(len(column.counts) for tensor in node.tensors for column in tensor.columns)
