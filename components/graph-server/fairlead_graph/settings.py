"""Settings of the graph server: environment variables FAIRLEAD_*, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.errors import ContractError
from fairlead_contracts.termination import LIMIT

from .errors import InvalidGraph


@dataclass(frozen=True)
class Settings:
    """Limits and sizes of a server."""

    bind_address: str = "0.0.0.0"
    worker_threads: int = 2
    """Threads that run ONNX nodes."""
    intra_op_threads: int = 1
    """ONNX Runtime's threads per operator."""
    max_in_flight: int = 256
    """Maximum number of requests in flight; further requests are answered with 503."""
    max_body_bytes: int = 16 * 2**20
    body_timeout_seconds: float = 30.0
    """Timeout for a request's body, so that a slow client does not block others."""
    node_timeout_seconds: float = 5.0
    """Timeout of one call to a remote node."""
    drain_seconds: float = 1.0
    """Time after SIGTERM during which requests are still accepted, while the endpoints are updated."""
    grace_seconds: float = 20.0
    """Time after that for requests in flight to finish."""
    termination_log: str | None = None
    """Path of the termination log, for the reason that a graph is invalid."""
    termination_bytes: int = LIMIT
    """Maximum size of the report in bytes."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from FAIRLEAD_* variables; raise InvalidGraph naming an invalid variable."""

    def number(name: str, default: float, least: float) -> float:
        text = environment.get(name, "")
        try:
            value = float(text) if text else default
        except ValueError:
            value = least - 1
        if not value >= least:
            raise InvalidGraph(name, f"got {text!r}, expected a number of at least {least:g}")
        return value

    try:
        contract = GraphServerEnvironment.from_environment(environment)
    except ContractError as error:
        raise InvalidGraph.from_contract(error) from None
    return Settings(
        bind_address=contract.bind_address,
        worker_threads=int(number("FAIRLEAD_WORKER_THREADS", len(os.sched_getaffinity(0)), 1)),
        intra_op_threads=int(number("FAIRLEAD_INTRA_OP_THREADS", Settings.intra_op_threads, 1)),
        max_in_flight=int(number("FAIRLEAD_MAX_IN_FLIGHT", Settings.max_in_flight, 1)),
        max_body_bytes=int(number("FAIRLEAD_MAX_BODY_BYTES", Settings.max_body_bytes, 1)),
        body_timeout_seconds=number("FAIRLEAD_BODY_TIMEOUT_SECONDS", Settings.body_timeout_seconds, 0.001),
        node_timeout_seconds=number("FAIRLEAD_NODE_TIMEOUT_SECONDS", Settings.node_timeout_seconds, 0.001),
        drain_seconds=number("FAIRLEAD_DRAIN_SECONDS", Settings.drain_seconds, 0),
        grace_seconds=number("FAIRLEAD_GRACE_SECONDS", Settings.grace_seconds, 0),
        termination_log=contract.termination_log,
        termination_bytes=contract.termination_bytes,
    )
