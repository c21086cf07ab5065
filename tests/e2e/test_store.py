"""The contract tests of the artifact store on a real S3-compatible server."""

import subprocess
import sys

from fairlead_cluster.base.home import CHECKOUT

from tests.e2e.conftest import NAMESPACE
from tests.support.api_server import Kubectl
from tests.support.kind import store_environment


def test_store_keeps_its_contract_on_s3(kubectl: Kubectl, store: None) -> None:
    with store_environment(kubectl, NAMESPACE) as environment:
        command = [sys.executable, "-m", "pytest", "tests/components/artifacts", "-k", "s3"]
        done = subprocess.run(
            command, env=environment | {"FAIRLEAD_TEST_S3_URI": "s3://contract/tests"}, cwd=CHECKOUT, check=False
        )
    assert done.returncode == 0
