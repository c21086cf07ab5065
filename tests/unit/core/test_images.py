"""Images without the programs of a job's pods."""

import pytest
from fairlead.core.training_job.checks import check_failure
from fairlead.core.views import PodView

from tests.support.resources import make_job

CONTAINERD = 'failed to create shim task: runc create failed: exec: "{}": executable file not found in $PATH: unknown'
CRUN = "executable file `{}` not found in $PATH: No such file or directory"


@pytest.mark.parametrize("runtime", [CONTAINERD, CRUN])
@pytest.mark.parametrize(("role", "program"), [("worker", "fairlead-agent"), ("launcher", "fairlead-launcher")])
def test_an_image_without_the_program_is_named_with_the_lines_that_add_it(
    runtime: str, role: str, program: str
) -> None:
    message = runtime.format(program)
    pod = PodView("digits-x", "1", role=role, phase="Failed", exit_code=128, termination_message=message)
    finding = check_failure(make_job(), [pod], running=False)
    assert finding is not None and finding.reason == "ImageIncomplete"
    for part in ("The image of digits-x", program, "COPY --from=fairlead/trainer:0.1.0 /wheels /wheels", "pip install"):
        assert part in finding.message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param(128, 'exec: "other": executable file not found in $PATH', id="another program"),
        pytest.param(1, "fairlead-agent: file not found", id="a program that ran"),
        pytest.param(128, "fairlead-agent: permission denied", id="another reason"),
    ],
)
def test_other_failures_are_not_the_images(code: int, message: str) -> None:
    pod = PodView("digits-x", "1", role="worker", phase="Failed", exit_code=code, termination_message=message)
    finding = check_failure(make_job(), [pod], running=False)
    assert finding is not None and finding.reason == "WorkerFailed"
