"""Observation: gathers the facts that planners read. Cached objects need no request."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import aiohttp

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.sweep import Sweep
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.conditions import Finding, Rejection, is_true
from fairlead.core.model_deployment.exposure_build import ROUTE_KINDS
from fairlead.core.model_deployment.observed import Artifacts, ObservedDeployment, ObservedSeldon, ServiceAnswer
from fairlead.core.model_deployment.retrained import with_retrained_model
from fairlead.core.settings import Settings
from fairlead.core.sweep.observed import ObservedSweep
from fairlead.core.sweep.sampling import build_question
from fairlead.core.sweep.trials import is_trial
from fairlead.core.tenants import is_allowed_uri
from fairlead.core.training_job.observed import Gate, Launcher, ObservedJob
from fairlead.core.views import ChildView, PodView, RevisionView, TrialView
from fairlead.kube.children import Child, ChildCache
from fairlead.kube.devices import GpuServers
from fairlead.kube.gates import ask_artifacts, ask_gate
from fairlead.kube.inquiries import Inquiries, Question
from fairlead.kube.kinds import AUTOSCALER, CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET, SERVICE, Key, Kind
from fairlead.kube.monitoring import MonitoredServers
from fairlead.kube.optional import OptionalKinds
from fairlead.kube.prometheus import Prometheus
from fairlead.kube.reports import Reports, url_host
from fairlead.kube.resources import ResourceCache
from fairlead.kube.retraining import is_of_retraining, observe_retraining
from fairlead.kube.routes import observe_routes
from fairlead.kube.sampler import Samplers
from fairlead.kube.seldon import observe_seldon
from fairlead.kube.traffic import TrafficServers

_TIMEOUT = aiohttp.ClientTimeout(total=2)
"""For a Service that does not respond; the next reconcile retries."""
_ANSWER_SECONDS = 1.5
"""How old a response may be; a deployment that is not ready is reconciled every two seconds."""
_FRESH = 0.9
"""How old an answer of the artifact store may be, as a share of the interval in which it is asked."""


@dataclass(frozen=True)
class Sources:
    """Where facts come from."""

    children: ChildCache
    resources: ResourceCache
    reports: Reports
    store: Inquiries
    answers: Inquiries
    """The responses of deployments' Services."""
    traffic: TrafficServers
    prometheus: Prometheus
    monitors: MonitoredServers
    gpus: GpuServers
    optional: OptionalKinds
    samplers: Samplers
    http: aiohttp.ClientSession
    settings: Settings


def observe_job(sources: Sources, job: TrainingJob, rejection: Finding | None = None) -> ObservedJob:
    """Gather a job's pods, Service, gate and its launcher's reports, which are polled while the launcher runs."""
    meta = job.metadata
    key = Key(job.kind, meta.namespace, meta.name)
    owned = sources.children.owned_by(meta.uid)
    pods = tuple(child.view for child in owned if isinstance(child.view, PodView))
    return ObservedJob(
        pods=pods,
        service_uid=next((v.uid for v in _views(owned, SERVICE) if v.name == names.job_service_name(job)), ""),
        gate=_observe_gate(sources, key, job),
        launcher=_observe_launcher(sources.reports, key, job, pods),
        rejection=rejection,
    )


def observe_sweep(sources: Sources, sweep: Sweep, rejection: Rejection | None = None) -> ObservedSweep:
    """Gather the jobs of a sweep's trials, and ask the sampler if one is needed."""
    meta = sweep.metadata
    owned = sources.children.owned_by(meta.uid)
    jobs = tuple(view for child in owned if isinstance(view := child.view, TrialView) and is_trial(sweep, view))
    observed = ObservedSweep(jobs, rejection=rejection)
    question, key = build_question(sweep, observed), Key(sweep.kind, meta.namespace, meta.name)
    return replace(observed, suggestions=sources.samplers.observe(key, meta.uid, question))


def observe_deployment(
    sources: Sources, deployment: ModelDeployment, rejection: Rejection | None = None
) -> ObservedDeployment:
    """Gather a deployment's children, pods and models, and check whether its Service is ready."""
    meta = deployment.metadata
    key = Key(deployment.kind, meta.namespace, meta.name)
    owned = sources.children.owned_by(meta.uid)
    deployments, services = _views(owned, DEPLOYMENT), _views(owned, SERVICE)
    seldon = _observe_seldon(sources, deployment)
    # a route or a job that cannot be written says nothing about what serves
    of_route = rejection is not None and rejection.kind in ROUTE_KINDS
    of_run = is_of_retraining(rejection)
    artifacts = _observe_artifacts(sources, key, with_retrained_model(deployment))
    replicas = sources.children.replicas_of(key, {view.name for view in (*deployments, *seldon.deployments)})
    pods = tuple(child.view for child in replicas if isinstance(child.view, PodView))
    revisions = tuple(child.view for child in owned if isinstance(child.view, RevisionView))
    # without a ready pod the Service cannot respond, and its address may not be routed yet
    ready = any(view.ready for view in deployments)
    address = next((service.cluster_ip for service in services if ready and service.name == meta.name), None)
    return ObservedDeployment(
        deployments=deployments,
        services=services,
        config_maps=_views(owned, CONFIG_MAP),
        autoscalers=_views(owned, AUTOSCALER),
        budgets=_views(owned, DISRUPTION_BUDGET),
        pods=pods,
        revisions=revisions,
        traffic=sources.traffic.observe(key, deployment, pods),
        answers=sources.prometheus.observe(key, deployment),
        drift=sources.monitors.observe(key, deployment, pods, revisions),
        devices=sources.gpus.observe(key, deployment, pods, revisions),
        artifacts=artifacts,
        answer=_observe_answer(sources, key, address),
        rejection=None if of_route or of_run else rejection,
        seldon=seldon,
        routes=observe_routes(
            sources.optional, sources.children, deployment, sources.resources.claims(), rejection if of_route else None
        ),
        retraining=observe_retraining(sources.resources, deployment, owned, artifacts, rejection if of_run else None),
    )


def _observe_seldon(sources: Sources, deployment: ModelDeployment) -> ObservedSeldon:
    """Return what is seen of Seldon Core; nothing for other engines, for which nothing is watched either."""
    if deployment.spec.engine != "Seldon":
        return ObservedSeldon()
    return observe_seldon(sources.optional, sources.children, deployment.metadata.namespace, deployment.metadata.uid)


def _observe_gate(sources: Sources, key: Key, job: TrainingJob) -> Gate | None:
    """Return what is known of a job's dataset; None if the job has started."""
    dataset, settings = job.spec.dataset, sources.settings
    if job.status.start_time is not None or job.status.completion_time is not None:
        sources.store.forget(key)
        return None
    if dataset is None or not is_allowed_uri(settings, key.namespace, dataset.uri):
        return Gate()
    # an outdated result must not open the gate: a later one may have failed
    return sources.store.latest(key, ask_gate(dataset), settings.gate_seconds * _FRESH) or Gate(pending=True)


def _observe_artifacts(sources: Sources, key: Key, deployment: ModelDeployment) -> Artifacts:
    settings = sources.settings
    question = ask_artifacts(deployment, partial(is_allowed_uri, settings, key.namespace))
    nodes = (node for predictor in deployment.spec.predictors for node in predictor.graph.walk())
    if not all(is_allowed_uri(settings, key.namespace, node.model_uri) for node in nodes if node.model_uri):
        return Artifacts()
    seconds = settings.gate_seconds * _FRESH
    return sources.store.latest(key, question, seconds, outdated=True) or Artifacts(pending=True)


def _views(children: Iterable[Child], kind: Kind) -> tuple[ChildView, ...]:
    return tuple(c.view for c in children if c.kind == kind.kind and isinstance(c.view, ChildView))


def _observe_launcher(reports: Reports, key: Key, job: TrainingJob, pods: tuple[PodView, ...]) -> Launcher:
    """Return what is known of the current attempt's launcher, and poll it; stop if it does not run."""
    attempt = job.status.workers.restarts
    running = (pod for pod in pods if pod.role == names.LAUNCHER and pod.phase == "Running" and not pod.deleting)
    launcher = next((pod for pod in running if pod.attempt == attempt), None)
    if launcher is None or job.status.completion_time:
        reports.drop(key)
        return Launcher()
    if not launcher.ip:
        return Launcher(silent_since=launcher.created)
    registering = not is_true(job.status.conditions, "Running")
    reports.follow(key, launcher.uid, launcher.ip, registering)
    return reports.latest(key, launcher.uid)


def _observe_answer(sources: Sources, key: Key, address: str | None) -> ServiceAnswer | None:
    """Return the last response of a Service, and ask again if it is old."""
    if not address:
        sources.answers.forget(key)
        return None
    question = Question(address, partial(_ask, sources.http, address), lambda problem: ServiceAnswer(error=problem))
    return sources.answers.latest(key, question, _ANSWER_SECONDS, outdated=True) or ServiceAnswer(pending=True)


async def _ask(http: aiohttp.ClientSession, address: str) -> ServiceAnswer:
    url = f"http://{url_host(address)}:{names.SERVING_PORT}/v2/health/ready"
    try:
        async with http.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
            return ServiceAnswer(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return ServiceAnswer(error=type(error).__name__)
