"""The kind cluster with the object store, the operator installed by its chart, and a restricted namespace."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fairlead_cluster.base.home import CHECKOUT, Home, default_home
from fairlead_cluster.base.steps import run_steps
from fairlead_cluster.kind import programs
from minio import Minio
from rich.console import Console

from tests.e2e.digits import RUN, Digits
from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.kind import kind_kubectl, make_namespace, store_environment

NAMESPACE = "e2e"
SYSTEM = "fairlead-system"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the installation tests first, which need a cluster without the shared operator, and the audit last."""
    order = {"test_install.py": 0, "test_permissions.py": 2}
    items.sort(key=lambda item: order.get(item.path.name, 1))


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    return kind_kubectl()


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm, built if it is not yet."""
    home = Home(default_home())
    run_steps(programs.plan_helm(home, "helm"), home.logs, Console())
    return programs.helm_path(home)


@pytest.fixture(scope="session")
def store(kubectl: Kubectl) -> None:
    """MinIO, with its credentials in the namespaces that use it."""
    for name in (NAMESPACE, SYSTEM):
        make_namespace(kubectl, name)
    command = [Path(sys.executable).parent / "fairlead", "kind", "store", "--share", NAMESPACE, "--share", SYSTEM]
    subprocess.run(command, check=True)
    make_buckets(kubectl)


@pytest.fixture
def publish(
    kubectl: Kubectl, store: None, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str, bytes], str]]:
    """Publish models of a test in the object store."""
    place = f"s3://models/{request.module.NAME}-{RUN}"
    with store_environment(kubectl, NAMESPACE) as environment:

        def run(name: str, model: bytes) -> str:
            folder, uri = tmp_path / name, f"{place}/{name}"
            folder.mkdir()
            (folder / "model.onnx").write_bytes(model)
            command = [Path(sys.executable).parent / "fairlead-artifacts", "publish", folder, uri]
            subprocess.run([*command, "--kind", "onnx-model", "--producer", "test/1"], env=environment, check=True)
            return uri

        yield run


def make_buckets(kubectl: Kubectl) -> None:
    """Create the buckets that the examples use."""
    with store_environment(kubectl, NAMESPACE) as environment:
        client = Minio(
            environment["AWS_ENDPOINT_URL"].removeprefix("http://"),
            access_key=environment["AWS_ACCESS_KEY_ID"],
            secret_key=environment["AWS_SECRET_ACCESS_KEY"],
            secure=False,
        )
        for bucket in ("datasets", "models", "contract"):
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, helm: Path, store: None) -> Iterator[None]:
    """The operator, installed by its Helm chart, which takes over the CRDs that `kubectl apply` has installed."""
    settings = ["--set", "settings.progressSeconds=1", "--set", "settings.gateSeconds=1"]
    subprocess.run(
        [helm, "upgrade", "--install", "fairlead", CHECKOUT / "charts" / "fairlead", "--namespace", SYSTEM,
         "--kubeconfig", kubectl.kubeconfig, "--wait", "--timeout", "180s", "--take-ownership", *settings],
        check=True,
    )  # fmt: skip
    yield
    subprocess.run(
        [helm, "uninstall", "fairlead", "--namespace", SYSTEM, "--kubeconfig", kubectl.kubeconfig, "--wait"], check=True
    )


@pytest.fixture(scope="session")
def digits(kubectl: Kubectl, operator: None) -> Digits:
    """The worked example, lived through once for all tests."""
    return Digits(kubectl, NAMESPACE, "digits")


@pytest.fixture(scope="session")
def dataset(digits: Digits) -> Object:
    return digits.make_dataset()


@pytest.fixture(scope="session")
def blocked(digits: Digits, dataset: Object) -> Object:
    """The job before its dataset is validated."""
    digits.apply_job(dataset)

    def look() -> Object:
        found = condition(digits.kubectl.get("tj", digits.name, NAMESPACE), "Blocked")
        return found if found.get("status") == "True" else {}

    return dict(wait_for(look, "Blocked", 30))


@pytest.fixture(scope="session")
def job(digits: Digits, dataset: Object, blocked: Object) -> Object:
    """The finished job."""
    digits.validate(dataset)
    return digits.wait_for_job()


@pytest.fixture(scope="session")
def deployment(digits: Digits, dataset: Object, job: Object) -> Object:
    """The ready deployment."""
    return digits.serve(*digits.convert(dataset, job))


@pytest.fixture(scope="session")
def undisturbed(digits: Digits, deployment: Object) -> Object:
    """The state that the example has in the end."""
    return digits.end_state()
