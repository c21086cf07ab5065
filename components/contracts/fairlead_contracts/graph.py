"""graph.json: the inference graph that the operator writes to a ConfigMap and the graph server reads."""

import json
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from .base import DIGEST, Contract, Sparse, problem
from .errors import Words

FILE = "graph.json"
MAX_DEPTH, MAX_CHILDREN, MAX_NODES = 8, 16, 256
NodeType = Literal["MODEL", "TRANSFORMER", "OUTPUT_TRANSFORMER", "ROUTER", "COMBINER"]
Implementation = Literal[
    "SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "EPSILON_GREEDY", "THOMPSON_SAMPLING", "AVERAGE_COMBINER"
]
IMPLEMENTATIONS: dict[Implementation, NodeType] = {
    "SIMPLE_MODEL": "MODEL",
    "SIMPLE_ROUTER": "ROUTER",
    "RANDOM_ABTEST": "ROUTER",
    "EPSILON_GREEDY": "ROUTER",
    "THOMPSON_SAMPLING": "ROUTER",
    "AVERAGE_COMBINER": "COMBINER",
}
"""The built-in nodes, and the type of each."""
LEARNING: tuple[Implementation, ...] = ("EPSILON_GREEDY", "THOMPSON_SAMPLING")
"""Those that learn from feedback."""
CHILDREN: dict[NodeType, tuple[int, int]] = {
    "MODEL": (0, 1),
    "TRANSFORMER": (0, 1),
    "OUTPUT_TRANSFORMER": (0, 1),
    "ROUTER": (1, MAX_CHILDREN),
    "COMBINER": (1, MAX_CHILDREN),
}
"""The minimum and maximum number of children of a node."""
SOURCES: dict[str, tuple[NodeType, ...]] = {
    "model_uri": ("MODEL", "TRANSFORMER", "OUTPUT_TRANSFORMER"),
    "implementation": tuple(dict.fromkeys(IMPLEMENTATIONS.values())),
    "endpoint": tuple(CHILDREN),
}
"""The fields that say what runs a node, of which it has one, and the types of node that each can run."""


Protocol = Literal["seldon", "v2"]
"""What a remote node speaks: Seldon's microservice API, or the Open Inference Protocol v2; in Seldon Core's words."""
MAX_TIMEOUT_SECONDS, MAX_RETRIES = 3600, 10
MAX_BATCH_SIZE, MAX_BATCH_DELAY = 4096, 1000
MIN_WINDOW_SECONDS, MAX_WINDOW_SECONDS = 8, 7 * 86400


class Endpoint(Contract):
    """The endpoint of a remote node."""

    host: str = Field(min_length=1, max_length=253)
    """A host name or address; 127.0.0.1 for the same pod."""
    port: int = Field(ge=1, le=65535)
    """Its port."""
    type: Literal["REST", "GRPC"] = "REST"
    """How its protocol is carried."""


class Parameter(Contract):
    """A parameter of a node, as in Seldon Core v1."""

    name: str = Field(min_length=1, max_length=63)
    """Its name."""
    value: str = Field(max_length=1024)
    """Its value as text."""
    type: Literal["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]
    """What the value is."""


class GraphNode(Sparse):
    """One node: a model (model_uri) or built-in (implementation) of the graph server, or a microservice (endpoint)."""

    # An unknown field is most likely a misspelling: report it with the list of known fields.
    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=63)
    """Its name, unique in the graph."""
    type: NodeType
    """Its role in the graph."""
    model_uri: str | None = Field(None, max_length=2048, pattern=r"^[a-z0-9]+://")
    """An onnx-model artifact, or one .onnx file of it."""
    digest: str | None = Field(None, pattern=DIGEST)
    """The required digest of the artifact."""
    implementation: Implementation | None = None
    """The built-in that runs it."""
    parameters: tuple[Parameter, ...] | None = Field(None, max_length=32)
    """The built-in's parameters."""
    endpoint: Endpoint | None = None
    """The endpoint of its server."""
    protocol: Protocol | None = None
    """What this server speaks; Seldon's microservice API if omitted."""
    model_name: str | None = Field(None, min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._-]+$")
    """The model's name there, for v2; the node's name if omitted."""
    timeout_seconds: float | None = Field(None, ge=0.001, le=MAX_TIMEOUT_SECONDS)
    """Timeout of one call to it, retries included; the graph server's setting if omitted."""
    retries: int | None = Field(None, ge=0, le=MAX_RETRIES)
    """How often a call is repeated of which nothing was sent, because no connection could be made; none if omitted."""
    children: tuple["GraphNode", ...] = Field((), max_length=MAX_CHILDREN)
    """The nodes that receive this node's output."""

    @property
    def source(self) -> str:
        """Return the field that says what runs the node, one of SOURCES."""
        return next(name for name in SOURCES if getattr(self, name) is not None)

    def walk(self) -> Iterator["GraphNode"]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def depth(self) -> int:
        """Return the number of nodes on the longest path from this node down."""
        return 1 + max((child.depth() for child in self.children), default=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            known = sorted(str(field.alias) for field in type(self).model_fields.values())
            raise problem(name, value, f"one of the fields {', '.join(known)}")
        least, most = CHILDREN[self.type]
        count = Words(f"{len(self.children)} children")
        if len(self.children) < least:
            raise problem("children", count, f"at least {least} below a {self.type}")
        if len(self.children) > most:
            raise problem("children", count, f"at most {most} below a {self.type}")
        sources = {str(type(self).model_fields[name].alias): getattr(self, name) for name in SOURCES}
        given = [name for name, value in sources.items() if value is not None]
        if len(given) != 1:
            raise problem("", sources, "exactly one of them")
        if self.type not in SOURCES[self.source]:
            expected = f"one of {', '.join(SOURCES[self.source])}"
            raise problem("type", Words(f"{self.type} with a {given[0]}"), expected)
        if self.implementation and self.type != IMPLEMENTATIONS[self.implementation]:
            expected = f"{IMPLEMENTATIONS[self.implementation]} for {self.implementation}"
            raise problem("type", self.type, expected)
        self._check_remote()
        return self

    def _check_remote(self) -> None:
        """Reject fields that have no effect on this node."""
        for name in ("protocol", "timeout_seconds", "retries"):
            if self.endpoint is None and getattr(self, name) is not None:
                raise problem(str(type(self).model_fields[name].alias), getattr(self, name), "a node with an endpoint")
        if self.model_name is not None and self.protocol != "v2":
            raise problem("modelName", self.model_name, "a node whose protocol is v2")
        if self.protocol == "v2" and self.type in ("ROUTER", "COMBINER"):
            raise problem("type", Words(f"{self.type} with protocol v2"), "a node with one input message, and no route")


class Batching(Contract):
    """How requests to a model are run together."""

    max_batch_size: int = Field(ge=2, le=MAX_BATCH_SIZE)
    """The most rows in a run."""
    max_delay_milliseconds: float = Field(ge=0, le=MAX_BATCH_DELAY)
    """How long a request waits for others at most, while the model is not busy with earlier ones."""


class Monitor(Sparse):
    """How the inputs and outputs of models of type MODEL are counted, by the bins of their references."""

    window_seconds: int = Field(ge=MIN_WINDOW_SECONDS, le=MAX_WINDOW_SECONDS)
    """How far back the counts go."""
    sample_percent: int | None = Field(None, ge=1, le=100)
    """The percentage of requests that are counted; all if omitted."""


class GraphDocument(Sparse):
    """The whole file."""

    max_bytes: ClassVar[int] = 1 << 20

    schema_: Literal["fairlead.dev/graph/v1"] = Field("fairlead.dev/graph/v1", alias="schema", exclude=True)
    deployment: str = Field(min_length=1, max_length=253)
    """The name of the ModelDeployment, which is also the model's name in requests."""
    predictor: str = Field(min_length=1, max_length=253)
    """The predictor's name."""
    namespace: str = Field("default", max_length=253)
    """The deployment's namespace."""
    graph: GraphNode
    """The root."""
    batching: Batching | None = None
    """How requests to its models are run together; one by one if omitted. Readers may ignore it."""
    monitor: Monitor | None = None
    """How its models are monitored; not at all if omitted. Readers may ignore it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (depth := self.graph.depth()) > MAX_DEPTH:
            raise problem("graph", Words(f"{depth} levels"), f"at most {MAX_DEPTH}")
        names = [node.name for node in self.graph.walk()]
        if len(names) > MAX_NODES:
            raise problem("graph", Words(f"{len(names)} nodes"), f"at most {MAX_NODES}")
        for name in names:
            if (count := names.count(name)) > 1:
                raise problem("graph", Words(f"{count} nodes named {name}"), "unique names")
        if self.batching and not any(node.model_uri for node in self.graph.walk()):
            raise problem("batching", Words("batching"), "none in a graph without a modelUri")
        return self

    def to_text(self) -> str:
        """Return the file's content; equal graphs have equal texts."""
        return json.dumps(self.to_json(), sort_keys=True, indent=1) + "\n"
