"""The guide to code, data and images of one's own, followed word by word; and images that lack something."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from fairlead_artifacts import fetch
from fairlead_cluster.base.home import CHECKOUT, Home, default_home
from fairlead_cluster.local.cluster import down, up

from tests.local.support import LocalCluster

GUIDE = CHECKOUT / "docs" / "guides" / "bring-your-own.md"
EXAMPLE = CHECKOUT / "examples" / "bring-your-own"
BARE, OWN = "me/bare", "me/train"


@pytest.fixture(scope="module")
def fairlead(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A local cluster with the operator, the trainer's environment and two of the user's."""
    home, built = Home(make_home()), Home(default_home())
    home.envs.symlink_to(built.envs)
    images = {name: str(make_environment(tmp_path_factory.mktemp("env"), built)) for name in (BARE, OWN)}
    install_wheels(Path(images[OWN]), tmp_path_factory.mktemp("wheels"))
    (home.root / "images.json").write_text(json.dumps(images))
    up(home.root)
    try:
        yield LocalCluster(home.root)
    finally:
        down(home.root, purge=True)


def make_environment(folder: Path, built: Home) -> Path:
    """Make an environment with torch but without anything of ours, as an image of a user has it."""
    env = folder / "env"
    trainer = built.envs / "trainer"
    python = next((trainer / "lib").glob("python*")).name
    subprocess.run([trainer / "bin" / "python", "-m", "venv", "--without-pip", env], check=True)
    # its packages, without the path file that adds this checkout's
    (env / "lib" / python / "site-packages" / "theirs.pth").write_text(f"{trainer}/lib/{python}/site-packages\n")
    return env


def install_wheels(env: Path, folder: Path) -> None:
    """Do what the guide's Dockerfile does: build the wheels of the trainer's image and install them."""
    sources = []
    for name in ("contracts", "artifacts", "trainer"):
        sources.append(folder / name)
        shutil.copytree(
            CHECKOUT / "components" / name, sources[-1], ignore=shutil.ignore_patterns("build", "*.egg-info")
        )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels = folder / "wheels"
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", wheels, *sources], check=True
    )
    found = [str(wheel) for wheel in wheels.glob("*.whl")]
    assert len(found) == 3
    install = ["--python", str(env / "bin" / "python"), "install", "--no-deps", "--no-index", *found]
    subprocess.run([*pip, *install], check=True)


@pytest.fixture
def shell(fairlead: LocalCluster, tmp_path: Path) -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    """Return a function that runs a script where the example lies, as a user of the cluster."""
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "bring-your-own")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(fairlead.home / "cluster" / "kubeconfig"),
        "COLUMNS": "160",
    }

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


def test_the_guide_leads_to_a_model(
    fairlead: LocalCluster, shell: Callable[[str], "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL))
    assert script.count("fairlead train") == 3
    done = shell(script)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "rows     4,000",
        "columns  5: size, rooms, age, distance, price",
        "✓ houses succeeded",
        "worker-1  │",
    ):
        assert words in done.stdout
    job = fairlead.get("tj", "houses")
    (model,) = [artifact for artifact in job["status"]["provenance"] if artifact["name"] == "model"]
    fetch(model["uri"], tmp_path / "model", model["digest"])
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert metrics["processes"] == 2 and metrics["heldOutError"] < 0.1
    # the code goes when its job goes
    (name,) = [volume["configMap"]["name"] for volume in job["spec"]["workers"]["template"]["spec"]["volumes"]]
    (owner,) = fairlead.get("configmap", name)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("TrainingJob", job["metadata"]["uid"])
    # what --dry-run printed can be applied
    fairlead.kubectl("apply", "--dry-run=server", "-f", str(tmp_path / "examples/bring-your-own/houses-2.yaml"))
    assert fairlead.get("tj", "houses-3")["status"]["phase"] == "Succeeded"


def test_the_guides_dockerfile_is_the_examples_and_copies_what_the_trainers_image_has() -> None:
    lines = [line for line in (EXAMPLE / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    assert "\n".join(lines) in GUIDE.read_text()
    assert "COPY --from=packages /packages /wheels" in (CHECKOUT / "components/trainer/Dockerfile").read_text()


def test_an_image_of_the_users_runs_a_job_with_the_wheels_and_says_what_it_lacks_without_them(
    shell: Callable[[str], "subprocess.CompletedProcess[str]"],
) -> None:
    prepare = "cd examples/bring-your-own && python3 make_data.py houses.csv"
    publish = "fairlead dataset publish houses.csv file://$HOME/houses"
    train = "fairlead train project --launcher torchrun --dataset file://$HOME/houses --follow --command"
    script = "'sh -c \"FAIRLEAD_MODEL_DIR=$HOME/out exec python3 train.py --steps 20\"'"
    done = shell(f"{prepare}; {publish}; {train} {script} --name own --image {OWN}:1")
    assert done.returncode == 0, done.stdout + done.stderr
    done = shell(f"cd examples/bring-your-own; {train} {script} --name bare --image {BARE}:1")
    assert done.returncode == 1
    output = " ".join(done.stdout.split())
    for words in ("bare failed", "ImageIncomplete", "has no fairlead-", "COPY --from=fairlead/trainer:0.1.0"):
        assert words in output


def test_logs_of_all_pods_are_followed_until_the_job_ends(
    fairlead: LocalCluster, shell: Callable[[str], "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    script = f"echo begins; until [ -e {tmp_path}/go ]; do sleep 0.2; done; echo ends"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.sh").write_text(script)
    started = shell("fairlead train code --name talks --workers 2 --command 'sh run.sh' --no-follow")
    assert started.returncode == 0, started.stderr
    environment = os.environ | {"KUBECONFIG": str(fairlead.home / "cluster" / "kubeconfig")}
    argv = [Path(sys.executable).parent / "fairlead", "logs", "-f", "talks"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        seen: list[str] = []
        while sum(line.endswith("] begins\n") for line in seen) < 2:
            seen.append(follower.stdout.readline())
            assert seen[-1], seen
        assert not any("ends" in line for line in seen)
        (tmp_path / "go").touch()
        seen += follower.stdout.readlines()
    assert follower.returncode == 0
    for worker in ("worker-0", "worker-1"):
        assert [line.split("] ")[-1] for line in seen if line.startswith(worker) and "] " in line][-2:] == [
            "begins\n", "ends\n",
        ]  # fmt: skip
    assert any(line.startswith("launcher") and "succeeded" in line for line in seen)


def test_a_check_names_what_an_image_has_and_lacks_and_leaves_nothing(
    fairlead: LocalCluster, shell: Callable[[str], "subprocess.CompletedProcess[str]"]
) -> None:
    train = "cd examples/bring-your-own; fairlead train project --name checked --launcher torchrun --check"
    done = shell(f"{train} --image {OWN}:1")
    # on this node the user is whoever runs it, perhaps root
    assert ("✗ user       0" if os.getuid() == 0 else "✓ user") in done.stdout, done.stdout + done.stderr
    for words in ("✓ agent      fairlead-trainer 0.1.0", "✓ command", "✓ framework"):
        assert words in done.stdout
    assert done.returncode == (os.getuid() == 0)
    bare = shell(f"{train} --image {BARE}:1")
    assert bare.returncode == 1
    assert "has no fairlead-agent. Add to its Dockerfile" in " ".join(bare.stderr.split())
    left = fairlead.kubectl("get", "configmaps,tj", "-o", "name")
    assert "checked" not in left


def test_a_job_of_the_same_name_is_left_alone_unless_it_is_to_be_replaced(
    fairlead: LocalCluster, shell: Callable[[str], "subprocess.CompletedProcess[str]"]
) -> None:
    train = "cd examples/bring-your-own; fairlead train project --name twice --command 'sleep 600' --no-follow"
    assert shell(train).returncode == 0
    uid = fairlead.get("tj", "twice")["metadata"]["uid"]
    again = shell(train)
    assert again.returncode == 1
    assert "TrainingJob twice exists" in again.stderr
    replaced = shell(f"{train} --replace")
    assert replaced.returncode == 0, replaced.stderr
    job = fairlead.get("tj", "twice")
    assert job["metadata"]["uid"] != uid
    (name,) = [volume["configMap"]["name"] for volume in job["spec"]["workers"]["template"]["spec"]["volumes"]]
    assert fairlead.get("configmap", name)["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    fairlead.kubectl("delete", "tj", "twice")


def test_yaml_of_a_dry_run_needs_no_cluster(shell: Callable[[str], "subprocess.CompletedProcess[str]"]) -> None:
    done = shell("cd examples/bring-your-own; KUBECONFIG=/no/such/file fairlead train project --dry-run")
    kinds = [document["kind"] for document in yaml.safe_load_all(done.stdout)]
    assert kinds == ["ConfigMap", "TrainingJob"], done.stderr
