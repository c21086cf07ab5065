"""`FairleadClient`, used by the command line, pipeline steps and other programs."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from fairlead.api.base import Resource
from fairlead.api.model_deployment import ModelDeployment
from fairlead.client import inference, pods, rollouts, seldon
from fairlead.client.connection import connect
from fairlead.client.diagnosis import ClusterFacts, ResourceFacts, gather_cluster, gather_resource
from fairlead.client.errors import NotFound
from fairlead.client.logs import LogLine, follow_logs, read_logs
from fairlead.client.objects import Object, Objects, canonical_kind
from fairlead.client.waiting import is_finished, reached, wait_until, wait_until_gone
from fairlead.core import names
from fairlead.core.model_deployment.shares import find_entry

R = TypeVar("R", bound=Resource)


class FairleadClient:
    """A client for one namespace of a cluster.

    A kind is either a model class (`TrainingJob`), so that results are models, or a name (`"TrainingJob"`, `"tj"`,
    `"Pod"`), so that results are dictionaries. All methods raise the errors in `fairlead.client.errors`.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        field_manager: str = "fairlead-client",
    ) -> None:
        """Connect with `kubeconfig`, $KUBECONFIG, ~/.kube/config or a pod's service account; raises Unreachable.

        `namespace` defaults to the kubeconfig's; `field_manager` is the name that applied fields are owned by.
        """
        self._connection = connect(kubeconfig, context)
        self.namespace = namespace or self._connection.namespace
        self.objects = Objects(self._connection, self.namespace, field_manager)

    @overload
    def apply(self, obj: R, *, force: bool = ..., dry_run: bool = ...) -> R: ...
    @overload
    def apply(self, obj: Mapping[str, Any], *, force: bool = ..., dry_run: bool = ...) -> Object: ...
    def apply(self, obj: Resource | Mapping[str, Any], *, force: bool = True, dry_run: bool = False) -> Any:
        """Server-side apply an object and return it as stored.

        If `force` is False, raises Conflict if another manager owns a field. With `dry_run` nothing is stored.
        """
        if isinstance(obj, Resource):
            return type(obj).model_validate(self.objects.apply(_to_object(obj), force=force, dry_run=dry_run))
        return self.objects.apply(obj, force=force, dry_run=dry_run)

    @overload
    def get(self, kind: type[R], name: str) -> R: ...
    @overload
    def get(self, kind: str, name: str) -> Object: ...
    def get(self, kind: type[Resource] | str, name: str) -> Any:
        """Return an object; raises NotFound."""
        return _parse(kind, self.objects.get(_kind_name(kind), name))

    @overload
    def list(self, kind: type[R], *, labels: str | None = ..., everywhere: bool = ...) -> Sequence[R]: ...
    @overload
    def list(self, kind: str, *, labels: str | None = ..., everywhere: bool = ...) -> Sequence[Object]: ...
    def list(self, kind: type[Resource] | str, *, labels: str | None = None, everywhere: bool = False) -> Any:
        """Return the objects of a kind in the namespace, or in all namespaces."""
        return [_parse(kind, item) for item in self.objects.list(_kind_name(kind), labels, everywhere)]

    def delete(self, kind: type[Resource] | str, name: str) -> None:
        """Delete an object and, in the background, its dependents; raises NotFound."""
        self.objects.delete(_kind_name(kind), name)

    @overload
    def wait(
        self,
        kind: type[R],
        name: str,
        *conditions: str,
        seconds: float = ...,
        on_observed: Callable[[Object], None] | None = ...,
    ) -> R: ...
    @overload
    def wait(
        self,
        kind: str,
        name: str,
        *conditions: str,
        seconds: float = ...,
        on_observed: Callable[[Object], None] | None = ...,
    ) -> Object: ...
    def wait(
        self,
        kind: type[Resource] | str,
        name: str,
        *conditions: str,
        seconds: float = 300.0,
        on_observed: Callable[[Object], None] | None = None,
    ) -> Any:
        """Wait until one of the conditions is True for the current spec and return the object.

        `on_observed` is called with every observed state, as a dictionary. Raises ResourceFailed if the condition can
        no longer be reached, and WaitTimeout after `seconds`.
        """
        name_of_kind = _kind_name(kind)
        found = wait_until(
            lambda: self.objects.get(name_of_kind, name),
            reached(conditions),
            f"{name_of_kind} {name}",
            seconds,
            on_observed,
        )
        return _parse(kind, found)

    def wait_until_deleted(self, kind: type[Resource] | str, name: str, seconds: float) -> None:
        """Wait until a deleted resource and its pods are gone; raises WaitTimeout."""

        def remains() -> bool:
            items = self.objects.list(_kind_name(kind))
            return any(item["metadata"]["name"] == name for item in items) or bool(self.pods(kind, name))

        wait_until_gone(remains, f"{_kind_name(kind)} {name}", seconds)

    def pods(self, kind: type[Resource] | str, name: str) -> Sequence[Object]:
        """Return the pods of a TrainingJob or ModelDeployment."""
        return pods.list_pods(self.objects, _kind_name(kind), name)

    def logs(
        self,
        kind: type[Resource] | str,
        name: str,
        *,
        worker: int | None = None,
        follow: bool = False,
        tail: int | None = None,
    ) -> Iterator[str]:
        """Yield the log lines of a job's launcher or worker, a deployment's graph server or a pod.

        `tail` limits the output to the last lines; with `follow`, new lines are yielded until the container ends.
        """
        pod = pods.find_pod(self.objects, _kind_name(kind), name, worker)
        return pods.read_log(self._connection.api, pod, follow, tail)

    def job_logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """Yield the log lines of all pods of a training job, each with the pod that it is from.

        With `follow`, the lines come as they are written, until the job has ended. Raises NotFound.
        """
        kind = "TrainingJob"
        self.objects.get(kind, name)

        def read(pod: Object, follow: bool) -> Iterator[str]:
            return pods.read_log(self._connection.api, pod, follow, tail)

        def has_ended() -> bool:
            return is_finished(self.objects.get(kind, name))

        if follow:
            list_pods = functools.partial(pods.list_pods, self.objects, kind, name)
            return follow_logs(list_pods, has_ended, read, tailed=tail is not None)
        return read_logs(pods.list_pods(self.objects, kind, name), read)

    def examine_cluster(self) -> ClusterFacts:
        """Return the facts by which `fairlead doctor` judges the cluster; raises Unreachable."""
        return gather_cluster(self.objects, self.namespace)

    def examine(self, kind: str, name: str) -> ResourceFacts:
        """Return the facts by which `fairlead doctor` judges a resource; raises NotFound."""
        kind = canonical_kind(kind)
        return gather_resource(self.objects, kind, name, lambda: pods.list_pods(self.objects, kind, name))

    def command_rollout(self, name: str, word: str, *, seconds: float = 30.0) -> str:
        """Pause, resume, promote, abort or retry the rollout of a model deployment; return the revision it is about.

        Returns when the operator has obeyed. Raises Rejected if there is no such revision, NotFound and WaitTimeout.
        """
        return rollouts.command_rollout(self.objects, name, word, seconds)

    def predict(self, name: str, inputs: Object | Sequence[Any], *, api_key: str | None = None) -> Object:
        """Send a V2 request, or rows of values for a model with one input; return the V2 response.

        With `engine: Seldon` both are sent as Seldon's message, to the first predictor that is no shadow. Connects to
        the Service directly if its address is on this machine, else through the API server. Raises Rejected with the
        server's message if the request does not match the model.

        `api_key`, by default $FAIRLEAD_API_KEY, is for deployments that ask for one; without one that they know, they
        raise Denied. It is not sent to Seldon Core.
        """
        headers = inference.build_headers(api_key)
        try:
            return inference.predict(name, inputs, self._send_to(name, names.SERVING_PORT, headers))
        except NotFound:
            deployment = self.get(ModelDeployment, name)
            if deployment.spec.engine != "Seldon":
                raise
        entry = find_entry(deployment.spec.predictors)
        return seldon.predict(
            inputs, self._send_to(names.seldon_service_name(deployment, entry.name), names.SELDON_PORT)
        )

    def _send_to(self, name: str, port: int, headers: Mapping[str, str] = {}) -> inference.Send:
        """Return a function that sends requests with more headers to a Service; raises NotFound."""
        address = str(self.objects.get("Service", name)["spec"].get("clusterIP", ""))
        if address.startswith("127."):
            return inference.send_directly(f"{address}:{port}", headers)
        return inference.send_by_proxy(self.objects.request, self.namespace, name, port, headers)


def _kind_name(kind: type[Resource] | str) -> str:
    return canonical_kind(kind) if isinstance(kind, str) else str(kind.model_fields["kind"].default)


def _parse(kind: type[Resource] | str, obj: Object) -> Any:
    return obj if isinstance(kind, str) else kind.model_validate(obj)


def _to_object(resource: Resource) -> Object:
    """Return the object to apply: only the fields that the caller has set, without the status."""
    fields = resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
    return {"apiVersion": resource.api_version, "kind": resource.kind} | fields
