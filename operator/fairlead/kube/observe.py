"""Reads: everything that a planner decides by."""

import asyncio
import logging
from datetime import datetime

import aiohttp
from fairlead_contracts.environment import LAUNCHER_PORT
from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import PATH as STATUS_PATH
from fairlead_contracts.launcher_status import LauncherStatus

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.training_job import Progress, TrainingJob
from fairlead.core import names
from fairlead.core.model_deployment.observed import ObservedDeployment, ServiceAnswer
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.views import PodView
from fairlead.kube.client import KubeClient
from fairlead.kube.gates import observe_artifacts, observe_gate
from fairlead.kube.kinds import CONFIG_MAP, DEPLOYMENT, POD, SECRET, SERVICE
from fairlead.kube.views import view_child, view_pod

_log = logging.getLogger(__name__)
_TIMEOUT = aiohttp.ClientTimeout(total=2)
"""For a launcher or a Service that does not answer: the next reconcile asks again."""


async def observe_job(
    kube: KubeClient, http: aiohttp.ClientSession, job: TrainingJob, settings: Settings, now: datetime
) -> ObservedJob:
    """Read a job's pods, children, gate and progress."""
    namespace, labels = job.metadata.namespace, names.selector(names.job_labels(job))
    pods, secrets, services = await asyncio.gather(
        kube.list(POD, namespace, labels), kube.list(SECRET, namespace, labels), kube.list(SERVICE, namespace, labels)
    )
    views = tuple(sorted((view_pod(pod) for pod in pods), key=lambda pod: pod.name))
    waits = job.status.start_time is None and job.status.completion_time is None
    return ObservedJob(
        pods=views,
        has_key=any(secret["metadata"]["name"] == names.key_secret_name(job) for secret in secrets),
        has_service=any(service["metadata"]["name"] == names.job_service_name(job) for service in services),
        gate=await observe_gate(job.spec.dataset) if waits else None,
        progress=await _observe_progress(http, job, views, settings, now),
    )


async def observe_deployment(
    kube: KubeClient, http: aiohttp.ClientSession, deployment: ModelDeployment
) -> ObservedDeployment:
    """Read a deployment's children, pods and models, and ask its Service whether it answers."""
    namespace, labels = deployment.metadata.namespace, names.selector(names.deployment_labels(deployment))
    deployments, services, config_maps, pods, artifacts = await asyncio.gather(
        kube.list(DEPLOYMENT, namespace, labels),
        kube.list(SERVICE, namespace, labels),
        kube.list(CONFIG_MAP, namespace, labels),
        kube.list(POD, namespace, labels),
        observe_artifacts(deployment),
    )
    views = tuple(map(view_child, deployments))
    # without a ready pod nobody can answer, and the address may not even be routed yet
    ready = any(view.ready for view in views)
    address = next((service["spec"].get("clusterIP") for service in services if ready), None)
    return ObservedDeployment(
        deployments=views,
        services=tuple(map(view_child, services)),
        config_maps=tuple(map(view_child, config_maps)),
        pods=tuple(map(view_pod, pods)),
        artifacts=artifacts,
        answer=await _observe_answer(http, address),
    )


async def _observe_progress(
    http: aiohttp.ClientSession, job: TrainingJob, pods: tuple[PodView, ...], settings: Settings, now: datetime
) -> Progress | None:
    """Ask the launcher how far the training is, not more often than it is written."""
    before = job.status.progress
    if before and before.updated_at and (now - before.updated_at).total_seconds() < settings.progress_seconds:
        return None
    launcher = next((pod for pod in pods if pod.role == names.LAUNCHER and pod.phase == "Running" and pod.ip), None)
    if launcher is None or job.status.completion_time:
        return None
    url = f"http://{_in_url(launcher.ip)}:{LAUNCHER_PORT}{STATUS_PATH}"
    try:
        async with http.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
            content = await _read_bounded(response, LauncherStatus.max_bytes)
        progress = LauncherStatus.parse_json(content, STATUS_PATH).progress
        return Progress.model_validate(progress.to_json()) if progress else None
    except (aiohttp.ClientError, TimeoutError, ContractError) as error:
        # the launcher is somebody's pod: whatever it says, the job goes on without a progress
        _log.info("%s/%s: no progress from %s: %s", job.metadata.namespace, job.metadata.name, url, error)
        return None


async def _read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, or its beginning of more than `limit` bytes."""
    content = b""
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            break
    return content


async def _observe_answer(http: aiohttp.ClientSession, address: str | None) -> ServiceAnswer | None:
    if not address:
        return None
    url = f"http://{_in_url(address)}:{names.SERVING_PORT}/v2/health/ready"
    try:
        async with http.get(url, timeout=_TIMEOUT) as response:
            return ServiceAnswer(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return ServiceAnswer(error=type(error).__name__)


def _in_url(address: str | None) -> str:
    return f"[{address}]" if address and ":" in address else str(address)
