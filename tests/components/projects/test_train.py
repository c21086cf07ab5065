"""The command line of `fairlead train`, without a cluster: what it prints and what it rejects."""

import os
from pathlib import Path

import pytest
import yaml
from fairlead.api.training_job import TrainingJob
from fairlead.cli.main import build_app
from typer.testing import CliRunner, Result

from .conftest import Write

DIGEST = "sha256:" + "ab" * 32


def train(*words: str) -> Result:
    return CliRunner().invoke(build_app(), ["train", *words], env={"COLUMNS": "120", "KUBECONFIG": "/no/such/file"})


def test_a_dry_run_prints_yaml_that_can_be_committed(write: Write) -> None:
    code = "import os\n\nprint('größe: [x]')\n"
    words = (str(write({"train.py": code})), "--workers", "2", "--name", "houses", "--dry-run", "-o", "yaml")
    result = train(*words)
    assert result.exit_code == 0, result.output
    config_map, job = yaml.safe_load_all(result.stdout)
    assert config_map["data"] == {"train.py": code}
    assert "  train.py: |\n    import os\n" in result.stdout  # readable in a review
    parsed = TrainingJob.model_validate(job)
    assert (parsed.metadata.name, parsed.spec.workers.replicas) == ("houses", 2)
    assert (
        train(str(write({"train.py": code})), "--workers", "2", "--name", "houses", "--dry-run").stdout == result.stdout
    )


def test_yaml_with_published_code_has_no_anchors(write: Write, tmp_path: Path) -> None:
    words = ("--dataset", "s3://data/houses/v1", "--code-uri", f"file://{tmp_path}/store/code", "--dry-run")
    result = train(str(write({"train.py": ""})), *words)
    assert result.exit_code == 0, result.output
    (job,) = yaml.safe_load_all(result.stdout)
    spec = job["spec"]["workers"]["template"]["spec"]
    assert spec["initContainers"][0]["envFrom"] == spec["containers"][0]["envFrom"]
    assert not {"&", "*"} & set(result.stdout)


def test_options_arrive_in_the_job(write: Write) -> None:
    words = ("--dataset", f"s3://data/a@b/v1@{DIGEST}", "--launcher", "torchrun", "--gpus", "2", "-e", "A=b=c")
    result = train(str(write({"main.py": ""})), *words, "--command", "python3 'my script.py' --epochs 3", "--dry-run")
    assert result.exit_code == 0, result.output
    _, job = yaml.safe_load_all(result.stdout)
    spec = TrainingJob.model_validate(job).spec
    assert spec.dataset and (spec.dataset.uri, spec.dataset.digest) == ("s3://data/a@b/v1", DIGEST)
    assert (spec.launcher, spec.workers.slots) == ("Torchrun", 2)
    trainer = spec.workers.template.trainer.to_dict()
    assert trainer["command"] == ["python3", "my script.py", "--epochs", "3"]
    assert trainer["env"] == [{"name": "A", "value": "b=c"}]


@pytest.mark.parametrize(
    ("text", "uri", "experiment"),
    [
        pytest.param("https://mlflow.example/base", "https://mlflow.example/base", "houses", id="the job's name"),
        pytest.param("http://mlflow:5000,prices, new", "http://mlflow:5000", "prices, new", id="an experiment"),
    ],
)
def test_a_job_is_recorded_in_mlflow_if_asked_for(write: Write, text: str, uri: str, experiment: str) -> None:
    result = train(str(write({"train.py": ""})), "--name", "houses", "--mlflow", text, "--dry-run")
    assert result.exit_code == 0, result.output
    _, job = yaml.safe_load_all(result.stdout)
    tracking = TrainingJob.model_validate(job).spec.tracking
    assert tracking is not None
    assert (tracking.mlflow.uri, tracking.mlflow.experiment) == (uri, experiment)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(("--dataset", "houses.csv"), "--dataset: got 'houses.csv', expected s3://", id="no URI"),
        pytest.param(("--dataset", "s3://data/x@sha256:12"), "--dataset: got", id="half a digest"),
        pytest.param(("--model", "/tmp/x"), "--model: got '/tmp/x', expected s3://", id="a path"),
        pytest.param(("--code-uri", "x"), "--code-uri: got 'x', expected s3://", id="no URI for the code"),
        pytest.param(("--launcher", "mpi"), "--launcher: got 'mpi', expected Horovod or Torchrun", id="launcher"),
        pytest.param(("--command", "echo 'a"), "--command: got", id="an open quote"),
        pytest.param(("--mlflow", "mlflow:5000"), "--mlflow: got 'mlflow:5000', expected http://host", id="no URL"),
        pytest.param(("--mlflow", "https://u:p@host"), "--mlflow: got 'https://…@host'", id="a password"),
        pytest.param(("--mlflow", "https://host,"), "--mlflow: got 'https://host,'", id="an empty experiment"),
        pytest.param(("--env", "1=2"), "--env: got '1=2', expected NAME=VALUE", id="a variable's name"),
        pytest.param(("--memory", "4 GB"), "--memory: got '4 GB', expected a quantity", id="a quantity"),
        pytest.param(("-o", "json"), "--output: got 'json', expected yaml", id="another format"),
        pytest.param(("--name", "Houses"), "metadata: ", id="a name in capitals"),
        pytest.param(("--check",), "got --check and --dry-run", id="two commands"),
    ],
)
def test_options_that_make_no_job_are_named(write: Write, words: tuple[str, ...], problem: str) -> None:
    result = train(str(write({"train.py": ""})), *words, "--dry-run")
    assert result.exit_code == 1
    assert problem in " ".join(result.output.split())


@pytest.mark.parametrize("words", [("train",), ("dataset", "publish")])
def test_a_file_that_cannot_be_read_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    scandir = os.scandir

    def deny(path: Path | int | str) -> object:  # the tests' user may be root, who may read all
        if isinstance(path, Path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    uri = [f"file://{tmp_path}/store"] if words[0] == "dataset" else []
    result = CliRunner().invoke(build_app(), [*words, str(write({"train.py": ""})), *uri], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "project: Permission denied" in result.output
    assert isinstance(result.exception, SystemExit)


def test_without_a_cluster_it_says_so_and_exits_1(write: Write) -> None:
    result = train(str(write({"train.py": ""})))
    assert result.exit_code == 1
    assert "no cluster" in result.output


def test_help_has_examples() -> None:
    assert "fairlead train ./project --workers 2" in train("--help").stdout
