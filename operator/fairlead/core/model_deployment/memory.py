"""The memory that a graph server divides among its model processes."""

from collections.abc import Mapping

from fairlead_contracts.model_memory import (
    DEFAULT_BYTES,
    DEFAULT_RESPONSE_BYTES,
    RESPONSE_VARIABLE,
    VARIABLE,
    find_least_memory,
    find_most_processes,
)
from fairlead_contracts.variables import parse_quantity

from fairlead.api.model_deployment import Predictor
from fairlead.api.serving_pod import Server

_MIB = 1 << 20


def build_memory_variable(server: Server, processes: int) -> list[dict[str, str]]:
    """Return the variable by which several processes divide the container's limit, unless the user has set it."""
    limit = _read_limit(server)
    if processes == 1 or limit is None or VARIABLE in _read_variables(server):
        return []
    return [{"name": VARIABLE, "value": str(limit)}]


def check_memory(predictor: Predictor, path: str) -> str | None:
    """Find more processes than the memory is enough for, as far as the deployment says how much there is."""
    server = predictor.server or Server()
    processes, variables = server.processes or 1, _read_variables(server)
    memory = variables.get(VARIABLE, str(_read_limit(server) or DEFAULT_BYTES))
    response = variables.get(RESPONSE_VARIABLE, "")
    if processes == 1 or not _is_number(memory) or (response and not _is_number(response)):
        return None  # the graph server reports invalid variables
    place = int(response) if response else DEFAULT_RESPONSE_BYTES
    if (most := find_most_processes(int(memory), processes, place)) == processes:
        return None
    got, expected = int(memory) // _MIB, -(-find_least_memory(processes, place) // _MIB)
    return (
        f"{path}.processes: got {processes} with {got}Mi of memory, expected at most {most}, "
        f"or at least {expected}Mi, and what the models need."
    )


def _read_limit(server: Server) -> int | None:
    """Return the container's memory limit in bytes; None if there is none, or it is not a whole number of bytes."""
    limits = (server.resources or {}).get("limits")
    value = limits.get("memory") if isinstance(limits, Mapping) else None
    try:
        return int(str(parse_quantity(value))) if value is not None else None
    except ValueError:
        return None


def _read_variables(server: Server) -> dict[str, str]:
    """Return the user's variables; those whose value only the cluster knows have a text that is no number."""
    return {each.name: str(each.to_dict().get("value", "unknown")) for each in server.env or ()}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
