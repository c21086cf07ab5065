"""Gauges of the jobs as they are, computed from the cache when they are scraped: no request, and nothing to forget."""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from fairlead.core.training_job.summary import JobSummary
from fairlead.kube.kinds import Key
from fairlead.kube.resources import ResourceCache


class JobCollector(Collector):
    """Counts all jobs by namespace, launcher and phase; has series for `limit` running jobs, those known longest."""

    def __init__(self, resources: ResourceCache, limit: int) -> None:
        self._resources, self._limit = resources, limit

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the families, without values."""
        return _Families().all

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families with the values of this moment."""
        families, counts, running = _Families(), Counter[tuple[str, str, str]](), 0
        for key, job in self._resources.summaries():
            counts[key.namespace, job.launcher, job.phase] += 1
            if job.running:
                running += 1
                if running <= self._limit:
                    families.add(key, job)
        for labels, count in sorted(counts.items()):
            families.jobs.add_metric(labels, count)
        families.omitted.add_metric((), max(running - self._limit, 0))
        yield from families.all


class _Families:
    """One scrape's families."""

    def __init__(self) -> None:
        self.jobs = GaugeMetricFamily("fairlead_jobs", "Jobs by phase.", labels=("namespace", "launcher", "phase"))
        self.omitted = GaugeMetricFamily(
            "fairlead_jobs_without_series",
            "Running jobs beyond FAIRLEAD_METRICS_JOBS.",
            labels=(),
        )
        labels = ("namespace", "job")
        self.step = GaugeMetricFamily("fairlead_job_step", "Completed steps of a running job.", labels=labels)
        self.total = GaugeMetricFamily("fairlead_job_steps", "All steps of a running job.", labels=labels)
        self.rate = GaugeMetricFamily(
            "fairlead_job_samples_per_second", "Throughput of a running job, over all workers.", labels=labels
        )

    @property
    def all(self) -> tuple[GaugeMetricFamily, ...]:
        """Return the families, in the order in which they are shown."""
        return self.jobs, self.omitted, self.step, self.total, self.rate

    def add(self, key: Key, job: JobSummary) -> None:
        """Add the series of a running job; what it has not reported is absent."""
        values = ((self.step, job.step), (self.total, job.total_steps), (self.rate, job.samples_per_second))
        for family, value in values:
            if value is not None:
                family.add_metric((key.namespace, key.name), value)
