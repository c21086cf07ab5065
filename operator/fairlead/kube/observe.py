"""Observation: gathers the facts that planners read. Cached objects need no request."""

import asyncio
from collections.abc import Iterable

import aiohttp

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.model_deployment.observed import ObservedDeployment, ServiceAnswer
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.views import ChildView, PodView
from fairlead.kube.children import Child, ChildCache
from fairlead.kube.gates import observe_artifacts, observe_gate
from fairlead.kube.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE, Key, Kind
from fairlead.kube.reports import Reports, url_host

_TIMEOUT = aiohttp.ClientTimeout(total=2)
"""For a Service that does not respond; the next reconcile retries."""


async def observe_job(children: ChildCache, reports: Reports, job: TrainingJob) -> ObservedJob:
    """Gather a job's pods, Service, gate and progress, and follow its launcher's reports while it runs."""
    meta = job.metadata
    key = Key(job.kind, meta.namespace, meta.name)
    owned = children.owned_by(meta.uid)
    pods = tuple(child.view for child in owned if isinstance(child.view, PodView))
    _follow_launcher(reports, key, job, pods)
    waits = job.status.start_time is None and job.status.completion_time is None
    return ObservedJob(
        pods=pods,
        has_service=any(view.name == names.job_service_name(job) for view in _views(owned, SERVICE)),
        gate=await observe_gate(job.spec.dataset) if waits else None,
        progress=reports.latest(key, meta.uid),
    )


async def observe_deployment(
    children: ChildCache, http: aiohttp.ClientSession, deployment: ModelDeployment
) -> ObservedDeployment:
    """Gather a deployment's children, pods and models, and check whether its Service is ready."""
    meta = deployment.metadata
    owned = children.owned_by(meta.uid)
    deployments, services = _views(owned, DEPLOYMENT), _views(owned, SERVICE)
    replicas = children.replicas_of(Key(deployment.kind, meta.namespace, meta.name), {d.name for d in deployments})
    # without a ready pod the Service cannot respond, and its address may not be routed yet
    ready = any(view.ready for view in deployments)
    address = next((service.cluster_ip for service in services if ready), None)
    artifacts, answer = await asyncio.gather(observe_artifacts(deployment), _observe_answer(http, address))
    return ObservedDeployment(
        deployments=deployments,
        services=services,
        config_maps=_views(owned, CONFIG_MAP),
        pods=tuple(child.view for child in replicas if isinstance(child.view, PodView)),
        artifacts=artifacts,
        answer=answer,
    )


def _views(children: Iterable[Child], kind: Kind) -> tuple[ChildView, ...]:
    return tuple(c.view for c in children if c.kind == kind.kind and isinstance(c.view, ChildView))


def _follow_launcher(reports: Reports, key: Key, job: TrainingJob, pods: tuple[PodView, ...]) -> None:
    running = (pod for pod in pods if pod.role == names.LAUNCHER and pod.phase == "Running" and not pod.deleting)
    launcher = next(running, None)
    if launcher and launcher.ip and not job.status.completion_time:
        reports.follow(key, job.metadata.uid, launcher.ip)
    else:
        reports.drop(key)


async def _observe_answer(http: aiohttp.ClientSession, address: str | None) -> ServiceAnswer | None:
    if not address:
        return None
    url = f"http://{url_host(address)}:{names.SERVING_PORT}/v2/health/ready"
    try:
        async with http.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
            return ServiceAnswer(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return ServiceAnswer(error=type(error).__name__)
