"""A local cluster on which pipelines run, as an account with one Role."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_cluster.base.home import CHECKOUT, Home, default_home
from fairlead_cluster.local.cluster import down, up
from fairlead_cluster.local.node.paths import plain_path

from tests.local.support import LocalCluster

RUN_SECONDS = 400
ACCOUNT = {"name": "pipeline-runner", "namespace": "default"}
COMMON = ("pipelines", "trainer", "data-validation", "onnx-converter", "evaluation", "graph-server")
"""The environments that every pipeline needs."""


@dataclass(frozen=True)
class PipelineCluster:
    """A local cluster with the operator, an example's code and an account that may run its pipeline."""

    cluster: LocalCluster
    kubeconfig: Path
    example_name: str

    @property
    def artifacts(self) -> str:
        return f"file://{plain_path(self.cluster.home)}/artifacts"

    def example(self, script: str, *words: str) -> dict[str, Any]:
        """Run a script of the example and return its last line."""
        python = self.cluster.home / "envs" / self.example_name / "bin" / "python"
        argv = [str(python), str(CHECKOUT / "examples" / self.example_name / script), *words]
        output = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=RUN_SECONDS).stdout
        return dict(json.loads(output.splitlines()[-1]))

    def outputs(self, run: str) -> dict[str, str]:
        """Return the output of a run or a step of it."""
        return dict(json.loads(self.outputs_file(run).read_text()))

    def outputs_file(self, run: str) -> Path:
        """Return where a run writes its outputs."""
        return self.cluster.home / f"{run}.json"

    def command(self, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run fairlead-pipelines."""
        folder = self.cluster.home / "bin"
        # timeout(1) ends the whole process group; a task of kfp.local would outlive a killed run
        argv = ["timeout", "--kill-after=5", str(RUN_SECONDS), str(folder / "fairlead-pipelines"), *map(str, words)]
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path, **variables}
        return subprocess.run(argv, capture_output=True, text=True, env=environment)


@contextmanager
def started_pipelines(folder: Path, example: str, *environments: str) -> Iterator[PipelineCluster]:
    """Run a cluster for an example's pipeline during the block."""
    home, built = Home(folder), Home(default_home())
    needed = (*COMMON, *environments, example)
    if missing := [name for name in needed if not (built.envs / name / "fairlead.key").exists()]:
        pytest.fail(f"no environments {missing} in {built.envs}; run `fairlead setup {' '.join(missing)}`")
    home.envs.symlink_to(built.envs)
    for command in built.bin.glob("fairlead-*"):
        (home.bin / command.name).symlink_to(command)
    up(home.root)
    try:
        cluster = LocalCluster(home.root)
        _apply_surroundings(cluster, example)
        yield PipelineCluster(cluster, _write_kubeconfig(cluster), example)
    finally:
        down(home.root, purge=True)


def _apply_surroundings(cluster: LocalCluster, example: str) -> None:
    """Create the objects that the pipeline's resources refer to, and an account with only the Role's permissions."""
    role = yaml.safe_load((CHECKOUT / "manifests" / "pipelines" / "role.yaml").read_text())
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "pipeline-runner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", **ACCOUNT}],
    }
    code = {"train.py": (CHECKOUT / "examples" / example / "train.py").read_text()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{example}-code"}, "data": code},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "artifact-store"}, "type": "Opaque"},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": ACCOUNT},
        role,
        binding,
    )


def _write_kubeconfig(cluster: LocalCluster) -> Path:
    """Write a kubeconfig for the account next to the cluster's own."""
    token = cluster.kubectl("create", "token", ACCOUNT["name"]).strip()
    document = yaml.safe_load((cluster.home / "cluster" / "kubeconfig").read_text())
    document["users"] = [{"name": item["name"], "user": {"token": token}} for item in document["users"]]
    path = cluster.home / "pipeline-runner.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path
