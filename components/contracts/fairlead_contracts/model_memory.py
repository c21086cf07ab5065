"""The least memory of a graph server with several model processes, which the server and the operator check."""

VARIABLE, RESPONSE_VARIABLE = "FAIRLEAD_MEMORY_BYTES", "FAIRLEAD_MAX_RESPONSE_BYTES"
DEFAULT_BYTES, DEFAULT_RESPONSE_BYTES = 2 << 30, 64 << 20
MIN_PROCESS_BYTES = 192 << 20
"""What a process needs without a model."""


def find_least_memory(processes: int, max_response_bytes: int = DEFAULT_RESPONSE_BYTES) -> int:
    """Return the least VARIABLE of several processes, of which three quarters are for models.

    Each process needs its minimum, and each but the first a place for a response (docs/decisions/0048).
    """
    models = processes * MIN_PROCESS_BYTES + (processes - 1) * max_response_bytes
    return -(-models // 3) * 4


def find_most_processes(memory: int, processes: int, max_response_bytes: int = DEFAULT_RESPONSE_BYTES) -> int:
    """Return how many of some processes VARIABLE is enough for, at least one."""
    counts = range(2, processes + 1)
    return max((n for n in counts if memory >= find_least_memory(n, max_response_bytes)), default=1)
