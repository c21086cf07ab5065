"""Whether models run on GPUs is judged by what their servers say, and said in one condition."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.model_deployment.accelerated import (
    DeviceMeasures,
    judge_devices,
    measure_devices,
    poll_seconds,
    with_devices,
)
from fairlead.core.model_deployment.gpus import choose_image, requests_gpu
from fairlead.core.model_deployment.revisions import build_revision
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead_contracts.devices import DeviceFacts, NodeDevice

from tests.support.resources import Object, make_deployment

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NO_DRIVER = "there is no NVIDIA driver here: libcuda.so.1: cannot open shared object file"
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
SETTINGS = Settings(graph_server_image="cpu:1", graph_server_cuda_image="cuda:1")


def make(server: Object | None = GPU, status: Object | None = None) -> ModelDeployment:
    return make_deployment(status, spec__predictors__0__server=server or {})


def says(*nodes: str, problem: str | None = None) -> DeviceFacts:
    provider = "CPU" if problem else "CUDA"
    return DeviceFacts(nodes=tuple(NodeDevice(node=node, provider=provider, problem=problem) for node in nodes))


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({"limits": {"nvidia.com/gpu": 1}}, True),
        ({"limits": {"nvidia.com/gpu": "2", "memory": "4Gi"}}, True),
        ({"limits": {"nvidia.com/gpu.shared": 1}}, True),
        ({"limits": {"nvidia.com/mig-1g.5gb": 1}}, True),
        ({"limits": {"nvidia.com/gpu": 0}}, False),
        ({"limits": {"nvidia.com/gpu": "0"}}, False),
        ({"limits": {"memory": "4Gi"}, "requests": {"cpu": 1}}, False),
        ({"limits": None}, False),
        ({"limits": [1]}, False),
        ({}, False),
    ],
)
def test_a_predictor_that_asks_for_a_gpu_gets_the_image_with_cuda(resources: Object, asked: bool) -> None:
    (predictor,) = make({"resources": resources}).spec.predictors
    assert requests_gpu(predictor) is asked
    assert choose_image(predictor, SETTINGS) == ("cuda:1" if asked else "cpu:1")


def test_a_revision_keeps_the_image_that_its_predictor_got() -> None:
    (with_gpu,), (without,) = make().spec.predictors, make(None).spec.predictors
    newer = SETTINGS.model_copy(update={"graph_server_cuda_image": "cuda:2"})
    assert build_revision(with_gpu, {}, SETTINGS).image == "cuda:1"
    assert build_revision(with_gpu, {}, newer).name != build_revision(with_gpu, {}, SETTINGS).name
    # what has no GPU is not rolled out again for an image that it does not have
    assert build_revision(without, {}, newer) == build_revision(without, {}, SETTINGS)


@pytest.mark.parametrize(
    ("facts", "servers", "problem", "expected"),
    [
        ((), 0, "", (None, "DevicesUnknown", "No server that has a GPU has said where its models run.")),
        ((), 1, "A server does not say", (None, "DevicesUnknown", "A server does not say")),
        ((says("a"),), 2, "timeout", (None, "DevicesUnknown", "timeout")),
        ((says("a"), says("a", "b")), 2, "", (True, "GpuInUse", "The models of 2 servers run on GPUs.")),
        (
            (says("a"), says("a", problem=NO_DRIVER)), 3, "timeout",
            (False, "GpuUnusable", f"1 of 3 servers run models on the CPU: {NO_DRIVER} (node a)."),
        ),
        (
            (says("a", problem="odd"), says("e", "d", "c", "b", problem=NO_DRIVER)), 2, "",
            (False, "GpuUnusable", f"2 of 2 servers run models on the CPU: {NO_DRIVER} (nodes b, c, d and 1 more)."),
        ),
        (
            (says(),), 1, "",
            (False, "NothingToAccelerate",
             "No model runs in the graph servers that have GPUs: their graphs have none with a modelUri."),
        ),
    ],
)  # fmt: skip
def test_the_condition_follows_from_what_servers_say(
    facts: tuple[DeviceFacts, ...], servers: int, problem: str, expected: tuple[bool | None, str, str]
) -> None:
    found = judge_devices(measure_devices(servers, facts, problem))
    assert (found.type, (found.status, found.reason, found.message)) == ("Accelerated", expected)


def test_a_server_that_does_not_say_why_is_quoted_as_such() -> None:
    silent = DeviceFacts(nodes=(NodeDevice(node="a", provider="CPU"),))
    assert measure_devices(1, [silent], "").cause == "it is not said why (node a)"


def test_servers_that_have_not_answered_are_asked_again_soon() -> None:
    assert poll_seconds(measure_devices(2, [says("a")], "timeout")) == 5
    assert poll_seconds(measure_devices(2, [says("a"), says("a")], "")) == poll_seconds(None) == 300


FALLEN = measure_devices(1, [says("classifier", problem=NO_DRIVER)], "")
RUNNING = measure_devices(1, [says("classifier")], "")


def plan(deployment: ModelDeployment, measures: DeviceMeasures | None, now: datetime = NOW) -> Plan:
    return with_devices(Plan(deployment.status), deployment, measures, now)


def after(earlier: Plan, server: Object | None = GPU) -> ModelDeployment:
    assert earlier.status is not None
    return make(server, earlier.status.model_dump(mode="json", by_alias=True))


def conditions_of(found: Plan) -> list[tuple[str, str, str]]:
    assert found.status is not None
    return [(each.status, each.reason, each.last_transition_time) for each in found.status.conditions]


def test_a_deployment_without_gpus_says_nothing_about_them() -> None:
    deployment = make(None)
    assert plan(deployment, None) == Plan(deployment.status)


def test_what_was_said_goes_with_the_gpu() -> None:
    assert conditions_of(plan(after(plan(make(), FALLEN), None), None)) == []


def test_a_fall_back_to_the_cpu_is_an_event_once_and_keeps_its_time() -> None:
    first = plan(make(), FALLEN)
    assert [(each.type, each.reason) for each in first.events] == [("Warning", "GpuUnusable")]
    assert conditions_of(first) == [("False", "GpuUnusable", "2026-03-01T12:00:00Z")]
    again = plan(after(first), FALLEN, NOW + timedelta(hours=1))
    assert (again.events, conditions_of(again)) == ((), conditions_of(first))
    repaired = plan(after(again), RUNNING, NOW + timedelta(hours=2))
    assert (repaired.events, conditions_of(repaired)) == ((), [("True", "GpuInUse", "2026-03-01T14:00:00Z")])


def test_until_servers_are_asked_again_what_they_said_holds() -> None:
    first = plan(make(), RUNNING)
    assert conditions_of(plan(after(first), None, NOW + timedelta(hours=1))) == conditions_of(first)
    assert conditions_of(plan(make(), None)) == [("Unknown", "DevicesUnknown", "2026-03-01T12:00:00Z")]


def test_the_next_look_is_the_earlier_one() -> None:
    deployment = make()
    early = replace(Plan(deployment.status), requeue_after=2.0)
    assert with_devices(early, deployment, RUNNING, NOW).requeue_after == 2.0
    assert plan(deployment, RUNNING).requeue_after == 300
