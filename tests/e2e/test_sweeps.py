"""A Sweep in pods: its trials are TrainingJobs, and the sampler of the operator's image chooses their values."""

from tests.e2e.conftest import NAMESPACE
from tests.e2e.digits import VERSION
from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.kind import CONTAINER

NAME, TRIALS = "tiny", 3
SCRIPT = """
import sys
from fairlead_trainer import Progress
Progress(total_steps=1, min_interval=0).update(1, loss=(float(sys.argv[1]) - 0.3) ** 2)
"""


def build_sweep() -> Object:
    """Return a sweep whose trials only compute a loss."""
    trainer = {
        "name": "trainer",
        "image": f"fairlead/trainer:{VERSION}",
        "command": ["python3", "-c", SCRIPT, "${trialParameters.x}"],
        "securityContext": CONTAINER,
    }
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "Sweep",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "objective": {"metric": "loss", "goal": "Minimize"},
            "algorithm": {"name": "TPE", "startupTrials": 1, "seed": 1},
            "parameters": [{"name": "x", "double": {"min": 0, "max": 1}}],
            "maxTrials": TRIALS,
            "parallelism": 1,
            "template": {"spec": {"workers": {"replicas": 1, "template": {"spec": {"containers": [trainer]}}}}},
        },
    }


def test_a_sweep_in_pods_finds_its_best_trial(kubectl: Kubectl, operator: None) -> None:
    kubectl.apply(build_sweep())

    def ended() -> Object:
        found = kubectl.get("sweep", NAME, NAMESPACE)
        return found if found.get("status", {}).get("completionTime") else {}

    found = dict(wait_for(ended, "the end of the sweep", 240))
    assert condition(found, "Succeeded")["status"] == "True", found["status"]
    trials = found["status"]["trials"]
    assert [trial["state"] for trial in trials] == ["Succeeded"] * TRIALS
    losses = {trial["number"]: (float(trial["parameters"]["x"]) - 0.3) ** 2 for trial in trials}
    assert len(set(losses.values())) == TRIALS, "the sampler chooses others each time"
    assert found["status"]["best"]["number"] == min(losses, key=lambda number: losses[number])
    kubectl("delete", "sweep", NAME, "-n", NAMESPACE)
    wait_for(lambda: not kubectl.list("tj", NAMESPACE, f"fairlead.dev/sweep={NAME}"), "its jobs to be gone", 60)
