"""The children of several predictors: each has a Deployment whose servers get traffic documents, and a Service."""

from collections.abc import Mapping

from fairlead_contracts.graph import FILE as GRAPH_FILE

from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core import names
from fairlead.core.children import Object, with_hash
from fairlead.core.model_deployment.build import (
    build_config_map,
    build_deployment,
    build_deployment_service,
    build_service,
)
from fairlead.core.model_deployment.graph_document import build_graph
from fairlead.core.model_deployment.traffic import as_first, build_documents
from fairlead.core.model_deployment.traffic_children import build_traffic_config, with_traffic
from fairlead.core.settings import Settings


def build_predictor_children(
    deployment: ModelDeployment, predictor: Predictor, digests: Mapping[str, str], settings: Settings
) -> list[Object]:
    """Return the ConfigMap, Deployment and Service of a predictor, each annotated with its hash."""
    graph = build_graph(deployment, predictor, digests)
    config = names.graph_config_name(deployment, predictor.name, graph)
    labels = names.predictor_labels(deployment, predictor.name)
    child = names.predictor_name(deployment, predictor.name)
    built = build_deployment(deployment, predictor, graph, settings)
    template = built["spec"]["template"]
    pod = with_traffic(deployment, child, predictor.name, template["spec"])
    return [
        with_hash(build_config_map(deployment, config, labels, {GRAPH_FILE: graph})),
        with_hash(built | {"spec": built["spec"] | {"template": template | {"spec": pod}}}),
        with_hash(build_service(deployment, names.predictor_service_name(deployment, predictor.name), labels, labels)),
    ]


def build_entry_service(deployment: ModelDeployment, entry: str) -> Object:
    """Return the Service of the deployment's own name, in front of the entry's pods."""
    return with_hash(build_deployment_service(deployment, names.predictor_labels(deployment, entry)))


def build_first_documents(deployment: ModelDeployment) -> list[Object]:
    """Return the ConfigMaps from which servers that split read, when they start, what to do."""
    state, children = deployment.status.traffic, []
    for name, document in build_documents(deployment).items():
        if state and name in state.splitting:
            child, labels = names.predictor_name(deployment, name), names.predictor_labels(deployment, name)
            children.append(build_traffic_config(deployment, child, labels, as_first(document)))
    return children
