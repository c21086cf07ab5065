"""A TrainingJob as trial of Katib: its conditions on every status that the planner derives, and the rendered trial."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.settings import Settings
from fairlead.core.training_job.build import build_launcher, build_worker
from fairlead_cluster.base.home import CHECKOUT

EXAMPLE = CHECKOUT / "examples" / "katib"
EXPERIMENT = yaml.safe_load((EXAMPLE / "experiment.yaml").read_text())
TEMPLATE = EXPERIMENT["spec"]["trialTemplate"]
STATUSES = {file.stem: file for file in sorted((CHECKOUT / "tests" / "golden" / "training_job").glob("*.yaml"))}
_QUERY = re.compile(r'#\((\w+)=="(\w+)"\)#')


def query(path: str, document: Any) -> list[Any]:
    """Evaluate the part of GJSON that the example uses: keys, and queries for all members of a list, piped."""
    keys, *queries = re.split(r"[.|](?=#\()", path)
    for key in keys.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    for text in queries:
        match = _QUERY.fullmatch(text)
        assert match, f"{text}: expected a query that this test knows"
        document = [item for item in document or [] if item.get(match[1]) == match[2]]
    return list(document or [])


def judge(status: Any) -> str:
    """Return what Katib makes of a job: the failure's path is asked first, and a path that finds nothing is false."""
    job = {"status": status}
    if query(TEMPLATE["failureCondition"], job):
        return "Failed"
    return "Succeeded" if query(TEMPLATE["successCondition"], job) else "Running"


@pytest.mark.parametrize("name", STATUSES)
def test_a_trial_ends_as_its_job_does(name: str) -> None:
    status = yaml.safe_load(STATUSES[name].read_text())["status"] or {}
    phase = status.get("phase")
    assert judge(status) == (phase if phase in ("Succeeded", "Failed") else "Running")


def test_statuses_of_all_three_kinds_were_judged() -> None:
    judged = {judge(yaml.safe_load(file.read_text())["status"] or {}) for file in STATUSES.values()}
    assert judged == {"Succeeded", "Failed", "Running"}


def render(**values: str) -> TrainingJob:
    """Return a trial as Katib creates it: the parameters as text, and the trial's name and namespace."""
    text = yaml.safe_dump(TEMPLATE["trialSpec"])
    for name, value in values.items():
        text = text.replace(f"${{trialParameters.{name}}}", value)
    assert "${" not in text
    job = yaml.safe_load(text)
    return TrainingJob.model_validate(
        job | {"metadata": {"name": f"{EXPERIMENT['metadata']['name']}-x7k2m9qd", "namespace": "team", "uid": "u"}}
    )


def test_the_rendered_trial_is_a_valid_job() -> None:
    job = render(learningRate="0.0316", hiddenUnits="24")
    command = job.spec.workers.template.trainer.command
    assert command == ["python3", "/code/train.py", "--lr=0.0316", "--width=24"]
    assert not any(re.search(r"[\s'\"$;&|<>]", part) for part in command), "Katib joins them for a shell"


def test_every_parameter_is_searched_and_used() -> None:
    searched = {parameter["name"] for parameter in EXPERIMENT["spec"]["parameters"]}
    assert {parameter["reference"] for parameter in TEMPLATE["trialParameters"]} == searched
    used = set(re.findall(r"\$\{trialParameters\.(\w+)\}", yaml.safe_dump(TEMPLATE["trialSpec"])))
    assert used == {parameter["name"] for parameter in TEMPLATE["trialParameters"]}


def test_one_pod_of_a_trial_is_the_primary_one() -> None:
    job, labels = render(learningRate="0.1", hiddenUnits="8"), TEMPLATE["primaryPodLabels"]
    pods = [build_launcher(job, 0, Settings()), *(build_worker(job, index, 0, Settings()) for index in (0, 1))]
    primary = [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]
    assert [pod["metadata"]["name"] for pod in primary] == [names.worker_name(job, 0)]
    containers = [container["name"] for container in primary[0]["spec"]["containers"]]
    assert TEMPLATE["primaryContainerName"] in containers


def test_the_script_prints_the_objective_as_the_collector_reads_it() -> None:
    objective = EXPERIMENT["spec"]["objective"]["objectiveMetricName"]
    assert EXPERIMENT["spec"]["metricsCollectorSpec"]["collector"]["kind"] == "StdOut"
    assert f'print(f"{objective}={{' in (EXAMPLE / "train.py").read_text()
    # the form that the collector looks for in each line, after the agent's prefix
    found = re.search(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)", "[0] loss=0.123456")
    assert found
    assert found.groups()[:2] == ("loss", "0.123456")


def test_katibs_controller_may_do_what_it_does_with_trials() -> None:
    role, binding = yaml.safe_load_all((EXAMPLE / "katib-controller.yaml").read_text())
    assert role["rules"] == [
        {"apiGroups": ["fairlead.dev"], "resources": ["trainingjobs"],
         "verbs": ["get", "list", "watch", "create", "delete"]}
    ]  # fmt: skip
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert "TrainingJob.v1alpha1.fairlead.dev" in Path(EXAMPLE, "README.md").read_text()
