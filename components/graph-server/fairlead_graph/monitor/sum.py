"""What several model processes have counted, added up: each counts what it answers itself."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_contracts.monitor import PATH, ColumnFacts, MonitorFacts, NodeFacts, TensorFacts
from fairlead_contracts.psi import measure_psi
from fairlead_serving.calls import Reply

Summary = dict[str, Any]
"""By node: the rows that were counted and skipped since the start, and the worst index of each tensor."""


async def add_up(replies: Sequence[Reply]) -> tuple[list[Summary], bytes]:
    """Return the summary of each process, with the indexes of all together, and the sum of their facts as JSON."""
    summaries = [head["monitor"] for head, _ in replies]
    if len(replies) == 1:
        return summaries, replies[0][1]
    indexes, content = await asyncio.to_thread(_merge, [content for _, content in replies])
    return [_with_indexes(summary, indexes) for summary in summaries], content


def measure_tensors(node: NodeFacts) -> list[list[str | float]]:
    """Return the side and the name of each tensor, and the index of its worst column."""
    return [[tensor.side, tensor.name, _find_worst(tensor.columns)] for tensor in node.tensors]


def _find_worst(columns: Sequence[ColumnFacts]) -> float:
    return max((measure_psi(column.reference, column.counts) for column in columns), default=0.0)


def _merge(contents: Sequence[bytes]) -> tuple[dict[str, list[list[str | float]]], bytes]:
    """Return the indexes by node, and the facts. The processes have the same models, in the same order."""
    first, *others = (MonitorFacts.parse_json(content, PATH) for content in contents)
    nodes = tuple(_add_nodes(same) for same in zip(first.nodes, *(each.nodes for each in others), strict=True))
    facts = first.model_copy(update={"nodes": nodes})
    return {node.node: measure_tensors(node) for node in nodes}, facts.model_dump_json(by_alias=True).encode()


def _add_nodes(nodes: Sequence[NodeFacts]) -> NodeFacts:
    if problem := next((node for node in nodes if node.problem is not None), None):
        return problem
    tensors = zip(*(node.tensors for node in nodes), strict=True)
    return nodes[0].model_copy(
        update={
            "rows": sum(node.rows for node in nodes),
            "skipped": sum(node.skipped for node in nodes),
            "tensors": tuple(_add_tensors(same) for same in tensors),
        }
    )


def _add_tensors(tensors: Sequence[TensorFacts]) -> TensorFacts:
    columns = zip(*(tensor.columns for tensor in tensors), strict=True)
    return tensors[0].model_copy(update={"columns": tuple(_add_columns(same) for same in columns)})


def _add_columns(columns: Sequence[ColumnFacts]) -> ColumnFacts:
    counts = zip(*(column.counts for column in columns), strict=True)
    return columns[0].model_copy(update={"counts": tuple(map(sum, counts))})


def _with_indexes(summary: Mapping[str, Any], indexes: Mapping[str, Any]) -> Summary:
    return {node: {**facts, "psi": indexes[node]} for node, facts in summary.items()}
