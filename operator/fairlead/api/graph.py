"""The nodes of an inference graph, as in Seldon Core v1: what runs them, and how they are called."""

from typing import Literal

from fairlead_contracts.graph import (
    IMPLEMENTATIONS,
    MAX_CHILDREN,
    MAX_RETRIES,
    MAX_TIMEOUT_SECONDS,
    SOURCES,
    Implementation,
    NodeType,
    Protocol,
)
from pydantic import Field

from fairlead.api.base import ARTIFACT_URI, DIGEST, DNS_LABEL, LIST_MAP_BY_NAME, ApiModel


class NodeParameter(ApiModel):
    """A parameter of a node, as in Seldon Core v1."""

    name: str = Field(min_length=1, max_length=63)
    """The name of the parameter."""
    value: str = Field(max_length=1024)
    """The value as text."""
    type: Literal["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]
    """The type of the value."""


class NodeEndpoint(ApiModel):
    """Where a node's server listens, as in Seldon Core v1."""

    type: Literal["REST", "GRPC"] = "REST"
    """How the protocol of the node is carried."""
    service_host: str | None = Field(None, alias="service_host", max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")
    """The host name or address of a server outside of the pod; omit it for the node's container in componentSpecs."""
    service_port: int | None = Field(None, alias="service_port", ge=1, le=65535)
    """The port. If omitted, the node's container gets one in an environment variable, as Seldon's wrapper expects."""


class GraphNode(ApiModel):
    """A node of an inference graph, as in Seldon Core v1."""

    name: str = Field(max_length=63, pattern=DNS_LABEL)
    """The name of the node, unique in the graph; also the name of its container, unless modelUri is set."""
    type: NodeType | None = None
    """The type of the node, which determines how it handles requests; its implementation's or MODEL if omitted."""
    model_uri: str | None = Field(None, max_length=1024, pattern=ARTIFACT_URI)
    """An ONNX artifact to run inside the graph server; omit it for nodes that are served by a container."""
    digest: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The expected SHA-256 digest of the artifact."""
    implementation: Implementation | None = None
    """A built-in that runs inside the graph server; omit it for nodes with a modelUri or a container."""
    parameters: list[NodeParameter] = Field([], max_length=32, json_schema_extra=LIST_MAP_BY_NAME)
    """Parameters of the built-in, or of the container, which gets them as PREDICTIVE_UNIT_PARAMETERS."""
    endpoint: NodeEndpoint | None = None
    """Where the container or server of a node is called; over REST at a port of our choice if omitted."""
    protocol: Protocol | None = None
    """Its protocol: seldon, the microservice API, or v2, the Open Inference Protocol; seldon if omitted."""
    model_name: str | None = Field(None, min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._-]+$")
    """The name of the model there, if the protocol is v2; the name of the node if omitted."""
    timeout_seconds: float | None = Field(None, ge=0.001, le=MAX_TIMEOUT_SECONDS)
    """The timeout of a call there, in seconds and with its retries; 5 if omitted."""
    retries: int | None = Field(None, ge=0, le=MAX_RETRIES)
    """The number of retries of calls of which nothing was sent, because the connection failed; none if omitted."""
    env_secret_ref_name: str | None = Field(None, max_length=253)
    """The name of a Secret with the environment variables for reading modelUri, such as AWS_ACCESS_KEY_ID."""
    children: list["GraphNode"] = Field([], max_length=MAX_CHILDREN)
    """The nodes that receive the output of this node."""

    @property
    def role(self) -> NodeType:
        """Return the type of the node."""
        return self.type or (IMPLEMENTATIONS[self.implementation] if self.implementation else "MODEL")

    @classmethod
    def all_sources(cls) -> list[str]:
        """Return the fields that say what runs a node: all but the container of the same name."""
        return [name for name in SOURCES if name in cls.model_fields]

    @property
    def sources(self) -> list[str]:
        """Return those of these fields that are set; a node without any is served by a container."""
        in_pod = self.endpoint is not None and self.endpoint.service_host is None
        given = [name for name in self.all_sources() if getattr(self, name) is not None]
        return [name for name in given if not (name == "endpoint" and in_pod)]

    @property
    def runs_inside(self) -> bool:
        """Return whether the graph server runs the node itself; it calls the others."""
        return any(name != "endpoint" for name in self.sources)

    def walk(self) -> list["GraphNode"]:
        """Return this node and its descendants, parents first."""
        return [self, *(node for child in self.children for node in child.walk())]
