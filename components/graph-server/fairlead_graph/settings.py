"""Settings of the graph server: environment variables FAIRLEAD_*, read once."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.errors import ContractError
from fairlead_contracts.model_memory import MIN_PROCESS_BYTES, find_most_processes
from fairlead_contracts.termination import LIMIT
from fairlead_contracts.traffic import parse_key
from fairlead_serving.limits import InvalidSetting, Limits, read_number

from .errors import InvalidGraph

_MAX_KEY_BYTES = 4096


@dataclass(frozen=True)
class NodeSettings:
    """What the model process has to know."""

    bind_address: str = "0.0.0.0"
    worker_threads: int = 2
    """Threads that run ONNX nodes, in each model process."""
    intra_op_threads: int = 1
    """ONNX Runtime's threads per operator."""
    node_timeout_seconds: float = 5.0
    """Timeout of one call to a remote node."""
    state_folder: str | None = None
    """The folder that keeps what routers have learned."""
    max_body_bytes: int = 16 * 2**20
    max_response_bytes: int = 64 * 2**20

    def to_json(self) -> dict[str, Any]:
        """Return the settings for the model process."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return the settings that the HTTP process sent."""
        return cls(**document)


@dataclass(frozen=True)
class GrpcSettings:
    """The gRPC server's settings; its messages are held by gRPC, whose memory is the product of the two limits."""

    port: int | None = None
    """The port; None for no gRPC."""
    max_message_bytes: int = 4 * 2**20
    """Maximum size of a request; gRPC's own default."""
    max_calls: int = 32
    """Maximum number of calls at a time; further ones end with RESOURCE_EXHAUSTED."""


@dataclass(frozen=True)
class TrafficSettings:
    """The settings of a server whose traffic the operator splits."""

    revision: str
    """The revision that it serves."""
    key: bytes = field(repr=False)
    """The key that signs traffic documents."""
    file: Path | None
    """The document at start, if it exists."""
    key_file: Path | None = None
    """Where the key was read, and is read again if a signature is not its own: the operator may have made a new one."""


@dataclass(frozen=True)
class Settings:
    """All settings of a server."""

    limits: Limits
    nodes: NodeSettings
    processes: int = 1
    """The number of model processes."""
    grpc: GrpcSettings = GrpcSettings()
    api_keys_file: Path | None = None
    """The file, or folder of files, with the keys that requests need; None if they need none."""
    traffic: TrafficSettings | None = None
    """None for a server that answers all requests itself."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from FAIRLEAD_* variables; raise InvalidGraph naming an invalid variable."""

    def number(name: str, default: float, whole: bool) -> float:
        text = environment.get(name, "")
        return read_number(name, text, whole, 1 if whole else 0.001) if text else default

    try:
        contract = GraphServerEnvironment.from_environment(environment)
        limits = Limits.from_environment(environment)
        _check_memory(limits, contract)
        nodes = NodeSettings(
            bind_address=contract.bind_address,
            worker_threads=int(number("FAIRLEAD_WORKER_THREADS", _share_cores(contract.model_processes), True)),
            intra_op_threads=int(number("FAIRLEAD_INTRA_OP_THREADS", NodeSettings.intra_op_threads, True)),
            node_timeout_seconds=number("FAIRLEAD_NODE_TIMEOUT_SECONDS", NodeSettings.node_timeout_seconds, False),
            state_folder=contract.state_folder,
            max_body_bytes=limits.max_body_bytes,
            max_response_bytes=limits.max_response_bytes,
        )
        grpc = GrpcSettings(
            port=contract.grpc_port,
            max_message_bytes=int(number("FAIRLEAD_MAX_GRPC_MESSAGE_BYTES", GrpcSettings.max_message_bytes, True)),
            max_calls=int(number("FAIRLEAD_MAX_GRPC_CALLS", GrpcSettings.max_calls, True)),
        )
    except InvalidSetting as error:
        raise InvalidGraph(error.name, f"got {error.got!r}, expected {error.expected}") from None
    except ContractError as error:
        raise InvalidGraph.from_contract(error) from None
    keys, traffic = Path(contract.api_keys_file) if contract.api_keys_file else None, _read_traffic(contract)
    return Settings(limits, nodes, contract.model_processes, grpc, keys, traffic)


def read_termination(environment: Mapping[str, str] = os.environ) -> tuple[str | None, int]:
    """Return the path of the termination log and its limit in bytes, whether or not other variables are valid."""
    names = [GraphServerEnvironment.variable(field) for field in ("termination_log", "termination_bytes")]
    try:
        contract = GraphServerEnvironment.from_environment({name: environment.get(name, "") for name in names})
    except ContractError:
        return None, LIMIT
    return contract.termination_log, contract.termination_bytes


def _share_cores(processes: int) -> int:
    """Return the cores of each process, of which several may share one."""
    return math.ceil(len(os.sched_getaffinity(0)) / processes)


def _check_memory(limits: Limits, contract: GraphServerEnvironment) -> None:
    """Raise InvalidSetting if several processes have too little memory for a model process without a model."""
    count = contract.model_processes
    most = find_most_processes(limits.memory_bytes, count, limits.max_response_bytes)
    if most < count:
        expected = f"at most {most}: each needs {MIN_PROCESS_BYTES >> 20} MiB of FAIRLEAD_MEMORY_BYTES without a model"
        raise InvalidSetting(contract.variable("model_processes"), str(count), expected)


def _read_traffic(contract: GraphServerEnvironment) -> TrafficSettings | None:
    """Return the settings of traffic if there are a revision and a key; raise InvalidGraph if it is none."""
    if contract.revision is None or contract.key_file is None:
        return None
    name, path = contract.variable("key_file"), Path(contract.key_file)
    try:
        key = read_key(path)
    except OSError as error:
        raise InvalidGraph(name, f"{path}: cannot be read: {error.strerror}") from None
    except ContractError as error:
        raise InvalidGraph(name, str(error)) from None
    file = Path(contract.traffic_file) if contract.traffic_file else None
    return TrafficSettings(contract.revision, key, file, path)


def read_key(path: Path) -> bytes:
    """Return the key in a file; raise OSError, or ContractError if it is none."""
    with path.open("rb") as file:
        return parse_key(file.read(_MAX_KEY_BYTES), str(path))
