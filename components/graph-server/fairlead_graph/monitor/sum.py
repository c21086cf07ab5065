"""What several model processes have counted, added up: each counts what it answers itself.

The processes have validated their facts. To do so again would hold up this process's requests for a tenth of a second
at the maximum size, because the parser does not release Python's lock; nor is numpy in this process, for its memory.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from fairlead_contracts.monitor import MonitorFacts, NodeFacts
from fairlead_contracts.psi import measure_psi
from fairlead_serving.calls import Reply
from fairlead_serving.errors import ServingError

Summary = dict[str, Any]
"""By node: the rows that were counted and skipped since the start, and the worst index of each tensor."""


async def add_up(replies: Sequence[Reply]) -> tuple[list[Summary], bytes]:
    """Return the summary of each process, with the indexes of all together, and the sum of their facts as JSON.

    Raise ServingError if the processes have not counted the same.
    """
    summaries = [head["monitor"] for head, _ in replies]
    if len(replies) == 1:
        return summaries, replies[0][1]
    try:
        indexes, content = await asyncio.to_thread(_merge, [content for _, content in replies])
        return [_with_indexes(summary, indexes) for summary in summaries], content
    except (ValueError, KeyError, TypeError) as error:
        raise ServingError(f"the counts of the model processes do not add up: {error!r}"[:200]) from None


def measure_tensors(node: NodeFacts) -> list[list[str | float]]:
    """Return the side and the name of each tensor, and the index of its worst column."""
    return [
        [tensor.side, tensor.name, _find_worst((column.reference, column.counts) for column in tensor.columns)]
        for tensor in node.tensors
    ]


def _find_worst(columns: Iterable[tuple[Sequence[int], Sequence[int]]]) -> float:
    return max((measure_psi(reference, counts) for reference, counts in columns), default=0.0)


def _merge(contents: Sequence[bytes]) -> tuple[dict[str, list[list[str | float]]], bytes]:
    """Return the indexes by node, and the facts; raise ValueError, KeyError or TypeError if they do not fit."""
    if max(map(len, contents)) > MonitorFacts.max_bytes:
        raise ValueError(f"expected at most {MonitorFacts.max_bytes} bytes of each")
    first, *others = (orjson.loads(content) for content in contents)
    # by name: a model that only one process cannot observe has another place in its facts
    known = [{node["node"]: node for node in each["nodes"]} for each in others]
    nodes = [_add_nodes([node, *(by_name[node["node"]] for by_name in known)]) for node in first["nodes"]]
    indexes = {node["node"]: [_measure(tensor) for tensor in node["tensors"]] for node in nodes}
    return indexes, orjson.dumps({**first, "nodes": nodes})


def _measure(tensor: Mapping[str, Any]) -> list[str | float]:
    columns = ((column["reference"], column["counts"]) for column in tensor["columns"])
    return [tensor["side"], tensor["name"], _find_worst(columns)]


def _add_nodes(nodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if problem := next((node for node in nodes if node["problem"] is not None), None):
        return problem
    return {
        **nodes[0],
        "rows": sum(node["rows"] for node in nodes),
        "skipped": sum(node["skipped"] for node in nodes),
        "tensors": [_add_tensors(same) for same in zip(*(node["tensors"] for node in nodes), strict=True)],
    }


def _add_tensors(tensors: Sequence[dict[str, Any]]) -> dict[str, Any]:
    columns = zip(*(tensor["columns"] for tensor in tensors), strict=True)
    return {**tensors[0], "columns": [_add_columns(same) for same in columns]}


def _add_columns(columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts = zip(*(column["counts"] for column in columns), strict=True)
    return {**columns[0], "counts": list(map(sum, counts))}


def _with_indexes(summary: Mapping[str, Any], indexes: Mapping[str, Any]) -> Summary:
    return {node: {**facts, "psi": indexes[node]} for node, facts in summary.items()}
