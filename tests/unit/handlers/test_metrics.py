"""The operator's metrics: what is counted where, how many series there are, and that each is documented."""

import json
import re
from collections.abc import Iterable

import pytest
import yaml
from fairlead.core.sweep.summary import derive_sweep_changes
from fairlead.core.training_job.summary import Changes
from fairlead.handlers import metrics
from fairlead.handlers.job_metrics import JobCollector
from fairlead.kube.kinds import TRAINING_JOB
from fairlead.kube.resources import ResourceCache
from fairlead_cluster.base.home import CHECKOUT
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric

from tests.support.resources import TRAINING_JOB as JOB
from tests.support.resources import Object, change, make_job, make_sweep


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def put(resources: ResourceCache, name: str, status: Object, version: int = 1, **changes: object) -> None:
    obj = change(JOB, metadata__name=name, metadata__uid=f"uid-{name}", metadata__resourceVersion=str(version))
    resources.put(TRAINING_JOB, change(obj, **changes) | {"status": status})


def scrape(resources: ResourceCache, limit: int = 10) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(JobCollector(resources, limit))
    return registry


def running(step: int | None = None) -> Object:
    return {"phase": "Running", "progress": {"step": step, "totalSteps": 9, "samplesPerSecond": 2.5}} if step else {
        "phase": "Running"
    }  # fmt: skip


def test_jobs_are_counted_by_phase_and_launcher() -> None:
    resources = ResourceCache(lambda _: None)
    put(resources, "new", {})
    put(resources, "first", running(3))
    put(resources, "second", running(), spec__launcher="Torchrun")
    registry = scrape(resources)

    def count(launcher: str, phase: str) -> float | None:
        labels = {"namespace": "default", "launcher": launcher, "phase": phase}
        return registry.get_sample_value("fairlead_jobs", labels)

    assert (count("Horovod", "Pending"), count("Horovod", "Running"), count("Torchrun", "Running")) == (1, 1, 1)
    put(resources, "new", {"phase": "Failed"}, version=2)
    assert (count("Horovod", "Pending"), count("Horovod", "Failed")) == (None, 1), "counted when it is scraped"


def test_what_the_operator_wrote_counts_before_its_event_arrives() -> None:
    resources = ResourceCache(lambda _: None)
    put(resources, "new", {})
    stored = next(iter(resources._by_key.values()))
    stored.written(2, {"phase": "Running"}, None)
    labels = {"namespace": "default", "launcher": "Horovod", "phase": "Running"}
    assert scrape(resources).get_sample_value("fairlead_jobs", labels) == 1


def test_a_running_job_shows_what_it_reports() -> None:
    resources = ResourceCache(lambda _: None)
    put(resources, "first", running(3))
    put(resources, "silent", running())
    put(resources, "done", running(9) | {"phase": "Succeeded"})
    registry = scrape(resources)
    seen = {(s.name, s.labels["job"]): s.value for m in registry.collect() for s in m.samples if "job" in s.labels}
    assert seen == {
        ("fairlead_job_step", "first"): 3,
        ("fairlead_job_steps", "first"): 9,
        ("fairlead_job_samples_per_second", "first"): 2.5,
    }


def test_only_so_many_running_jobs_have_series_of_their_own() -> None:
    resources = ResourceCache(lambda _: None)
    for index in range(5):
        put(resources, f"job-{index}", running(index + 1))
    put(resources, "job-0", running(7), version=2)
    registry = scrape(resources, limit=2)
    jobs = [s.labels["job"] for m in registry.collect() if m.name == "fairlead_job_step" for s in m.samples]
    assert jobs == ["job-0", "job-1"], "those that are known longest, so that series do not come and go"
    assert registry.get_sample_value("fairlead_jobs_without_series") == 3


def test_jobs_of_another_controller_are_not_counted() -> None:
    resources = ResourceCache(lambda _: None)
    put(resources, "other", running(3), spec__runPolicy={"managedBy": "kueue.x-k8s.io/multikueue"})
    assert [s for m in scrape(resources).collect() for s in m.samples if m.name == "fairlead_jobs"] == []


@pytest.mark.parametrize(
    ("changes", "name", "labels", "added"),
    [
        (Changes(failures=1), "fairlead_job_restarts_total", {"cause": "failure"}, 1),
        (Changes(disruptions=1), "fairlead_job_restarts_total", {"cause": "disruption"}, 1),
        (Changes(result="failed"), "fairlead_jobs_finished_total", {"result": "failed"}, 1),
        (Changes(lost_steps=7), "fairlead_job_lost_steps_total", {}, 7),
        (Changes(lost_workers=2), "fairlead_elastic_lost_workers_total", {}, 2),
        (Changes(epochs={"WorkersLost": 3}), "fairlead_elastic_epochs_total", {"reason": "WorkersLost"}, 3),
        (Changes(checkpoint=(2.0, 100)), "fairlead_checkpoint_seconds_sum", {}, 2),
        (Changes(checkpoint=(2.0, 100)), "fairlead_checkpoint_bytes_total", {}, 100),
    ],
)
def test_a_change_of_a_status_is_counted(changes: Changes, name: str, labels: dict[str, str], added: float) -> None:
    labels = {"namespace": "default"} | labels
    before = value(name, **labels)
    metrics.record(make_job(), changes)
    assert value(name, **labels) == before + added


def test_each_trial_and_sweep_is_counted_once_at_its_end() -> None:
    def counted(name: str, result: str) -> float:
        return value(name, namespace="default", result=result)

    running = {"number": 1, "state": "Running"}
    lives = [
        {"trials": [running, {"number": 2, "state": "Pruned"}]},
        {"trials": [running | {"state": "Succeeded"}, {"number": 2, "state": "Pruned"}]},
        {"trials": [running | {"state": "Succeeded"}, {"number": 2, "state": "Pruned"}], "completionTime":
         "2026-03-01T12:00:00Z"},
    ]  # fmt: skip
    names = [("fairlead_sweep_trials_total", "pruned"), ("fairlead_sweep_trials_total", "succeeded"),
             ("fairlead_sweeps_finished_total", "failed")]  # fmt: skip
    before = [counted(*name) for name in names]
    sweep = make_sweep()
    for life in lives:
        after = make_sweep(life)
        metrics.record_sweep(sweep, derive_sweep_changes(sweep, after.status))
        sweep = after
    assert [counted(*name) - was for name, was in zip(names, before, strict=True)] == [1, 1, 1]


def test_the_time_to_running_is_observed() -> None:
    before = value("fairlead_job_start_seconds_sum", launcher="Horovod")
    metrics.record(make_job(), Changes(started_after=12.0))
    assert value("fairlead_job_start_seconds_sum", launcher="Horovod") == before + 12


def test_namespaces_beyond_the_limit_share_their_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_namespaces", {f"team-{index}" for index in range(metrics._MAX_NAMESPACES)})
    before = value("fairlead_job_restarts_total", namespace="…", cause="failure")
    for namespace in ("one-more", "another"):
        metrics.record(make_job(metadata__namespace=namespace), Changes(failures=1))
    metrics.record(make_job(metadata__namespace="team-3"), Changes(failures=1))
    assert value("fairlead_job_restarts_total", namespace="…", cause="failure") == before + 2
    assert value("fairlead_job_restarts_total", namespace="team-3", cause="failure") >= 1
    assert value("fairlead_job_restarts_total", namespace="another", cause="failure") == 0


# Documentation and alerts.


def families() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the type and labels of each of our metrics, by the name under which it is queried."""
    known = {}
    own = [getattr(metrics, name) for name in vars(metrics) if name.isupper() and not name.startswith("_")]
    for metric in own:
        described: Iterable[Metric] = metric.describe()
        family = next(iter(described))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        known[name] = family.type, tuple(metric._labelnames)
    for gauge in JobCollector(ResourceCache(lambda _: None), 0).describe():
        known[gauge.name] = gauge.type, tuple(gauge._labelnames)
    return known


def test_every_metric_has_a_row_in_the_documentation() -> None:
    page, _, _ = (CHECKOUT / "docs" / "metrics.md").read_text().partition("\n## Graph servers\n")
    rows = re.findall(r"^\| `(fairlead_\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \|$", page, re.MULTILINE)
    documented = {name: (type_, tuple(re.findall(r"`(\w+)`", labels))) for name, type_, labels in rows}
    assert documented == families()


def graph_server_families() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the graph server's metrics as documented, which its own tests compare with those that exist."""
    _, _, page = (CHECKOUT / "docs" / "metrics.md").read_text().partition("\n## Graph servers\n")
    rows = re.findall(r"^\| `(fairlead_\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \|$", page, re.MULTILINE)
    return {name: (type_, tuple(re.findall(r"`(\w+)`", labels))) for name, type_, labels in rows}


def test_the_dashboard_is_about_metrics_and_labels_that_exist() -> None:
    known, seldon = graph_server_families(), "seldon_api_executor_server_requests_seconds"
    document = json.loads((CHECKOUT / "manifests" / "monitoring" / "graph-servers.json").read_text())
    expressions = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
    assert len(expressions) >= 5
    for expression in expressions:
        names = re.findall(r"(?:fairlead|seldon)_\w+", expression)
        assert names, expression
        for name in names:
            assert name in known or re.sub("_(bucket|count)$", "", name) == seldon, expression
            (by,) = re.findall(r"by \(([^)]*)\)", expression)
            labels = known[name][1] if name in known else ("deployment_name", "code", "le")
            assert set(by.split(", ")) <= set(labels), expression


def test_every_alert_is_about_metrics_that_exist() -> None:
    rules = yaml.safe_load((CHECKOUT / "manifests" / "monitoring" / "rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 5
    known = families() | graph_server_families()
    for alert in alerts:
        names = re.findall(r"fairlead_\w+", alert["expr"])
        assert names, alert["alert"]
        for name in names:
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert name in known or known.get(base, ("",))[0] == "histogram", f"{alert['alert']}: {name}"
        assert set(alert["annotations"]) == {"summary", "description"}
        page = (CHECKOUT / "docs" / "metrics.md").read_text()
        assert f"`{alert['alert']}`" in page
