"""The children of a revision: those of a predictor, with a name, a Service and traffic of their own."""

from fairlead_contracts.graph import FILE as GRAPH_FILE

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.children import Object, with_hash
from fairlead.core.model_deployment.build import (
    build_config_map,
    build_deployment,
    build_service,
)
from fairlead.core.model_deployment.gpus import with_image
from fairlead.core.model_deployment.graph_document import build_graph
from fairlead.core.model_deployment.revisions import Revision
from fairlead.core.model_deployment.traffic_children import with_traffic
from fairlead.core.settings import Settings


def build_revision_children(
    deployment: ModelDeployment, revision: Revision, replicas: int, settings: Settings
) -> list[Object]:
    """Return the ConfigMap, Deployment and Service of a revision, each annotated with its hash."""
    graph = build_graph(deployment, revision.predictor, revision.digests)
    name, labels = names.revision_name(deployment, revision.name), names.revision_labels(deployment, revision.name)
    config = names.revision_config_name(deployment, revision.name, graph)
    return [
        with_hash(build_config_map(deployment, config, labels, {GRAPH_FILE: graph})),
        with_hash(_build_deployment(deployment, revision, graph, replicas, settings)),
        with_hash(build_service(deployment, name, labels, labels)),
    ]


def _build_deployment(
    deployment: ModelDeployment, revision: Revision, graph: str, replicas: int, settings: Settings
) -> Object:
    """Return the Deployment of a revision's predictor, with the labels, variables and volumes of the revision."""
    built = build_deployment(deployment, revision.predictor, graph, with_image(settings, revision.image))
    labels = built["metadata"]["labels"] | {names.REVISION: revision.name}
    template, name = built["spec"]["template"], names.revision_name(deployment, revision.name)
    metadata = template["metadata"] | {"labels": template["metadata"]["labels"] | {names.REVISION: revision.name}}
    pod = _with_graph(deployment, revision, graph, template["spec"])
    spec = built["spec"] | {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": metadata, "spec": with_traffic(deployment, name, revision.name, pod)},
    }
    return built | {"metadata": built["metadata"] | {"name": name, "labels": labels}, "spec": spec}


def _with_graph(deployment: ModelDeployment, revision: Revision, graph: str, spec: Object) -> Object:
    """Let a pod read its graph from the revision's ConfigMap."""
    volume = {
        "name": "fairlead-graph",
        "configMap": {"name": names.revision_config_name(deployment, revision.name, graph)},
    }
    volumes = [volume if each["name"] == volume["name"] else each for each in spec["volumes"]]
    return spec | {"volumes": volumes}
