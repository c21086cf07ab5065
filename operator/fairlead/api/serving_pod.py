"""What a user says about the pods of a predictor: the graph server's container, and the pod around it."""

from typing import Any, ClassVar

from fairlead_contracts.environment import MAX_MODEL_PROCESSES
from pydantic import Field

from fairlead.api.base import LIST_MAP_BY_NAME, ApiModel, OpenModel, Rule
from fairlead.api.pod_template import Container, EnvVar, PodMeta, PodSpec
from fairlead.api.serving_auth import ServerAuth


class ServerPodSpec(PodSpec):
    """The specification of a predictor's pods, such as nodeSelector and tolerations."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.containers)",
            "containers: not allowed here; those of nodes belong into componentSpecs",
            lambda spec: spec.containers is None,
            field=".containers",
        ),
    )

    containers: list[Container] | None = Field(  # type: ignore[assignment]
        None, max_length=16, json_schema_extra=LIST_MAP_BY_NAME
    )
    """Not allowed here: the graph server has server.resources and server.env, nodes have componentSpecs."""


class ServerTemplate(OpenModel):
    """Metadata and specification to add to a predictor's pods."""

    metadata: PodMeta | None = None
    """Additional metadata of the pods."""
    spec: ServerPodSpec | None = None
    """Where and how the pods run."""


class Server(ApiModel):
    """The graph server of a predictor, and its pods."""

    resources: dict[str, Any] | None = Field(None, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    """Requests and limits of the graph server's container; by default 100m and 192Mi, and as much CPU and half as much
    memory for each process of `processes` after the first, with a limit of 2Gi. With nvidia.com/gpu among the limits,
    it gets the image with CUDA."""
    processes: int | None = Field(None, ge=1, le=MAX_MODEL_PROCESSES)
    """The number of processes that run the models in each pod, each of which loads all of them; 1 if unset. The memory
    of the models is divided by them, so that with more of them the memory limit has to be larger. Without GPUs."""
    env: list[EnvVar] | None = Field(None, max_length=64, json_schema_extra=LIST_MAP_BY_NAME)
    """Variables of the graph server, such as FAIRLEAD_MAX_BODY_BYTES; none of those that the operator sets."""
    auth: ServerAuth | None = None
    """What requests need. If unset, whoever reaches the pods may ask them."""
    template: ServerTemplate | None = None
    """Metadata and specification to add to the pods, such as nodeSelector, tolerations and volumes."""
