"""Start, end and restart of containers on the process node, as shown by the API."""

import asyncio
import time
from pathlib import Path

from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import POD

from tests.local.support import IMAGE, LocalCluster, container, make_pod, waiting


def test_an_exit_code_and_its_message_are_in_the_status(cluster: LocalCluster) -> None:
    script = "echo why > $LOG; exit 3"
    env = [{"name": "LOG", "value": "/dev/termination-log"}]
    cluster.apply(make_pod("exits", "sh", "-c", script, env=env))
    state = cluster.finished("exits")
    assert (state["exitCode"], state["reason"], state["message"]) == (3, "Error", "why\n")
    assert cluster.get("pod", "exits")["status"]["phase"] == "Failed"


def test_the_last_lines_of_the_log_replace_a_missing_message(cluster: LocalCluster) -> None:
    command = ("sh", "-c", "seq 200; echo broken >&2; exit 1")
    cluster.apply(make_pod("falls-back", *command, terminationMessagePolicy="FallbackToLogsOnError"))
    message = cluster.finished("falls-back")["message"]
    assert message.endswith("200\nbroken") and len(message.splitlines()) == 80


def test_a_killed_process_shows_its_signal(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("killed", "sh", "-c", "kill -9 $$$$"))  # Kubernetes expands it to $$
    state = cluster.finished("killed")
    assert (state["exitCode"], state["signal"]) == (137, 9)


def test_a_message_is_cut_at_4096_bytes(cluster: LocalCluster) -> None:
    command = "head -c 9000 /dev/zero | tr '\\0' x > /somewhere/message"
    cluster.apply(make_pod("talks", "sh", "-c", command, terminationMessagePath="/somewhere/message"))
    assert cluster.finished("talks")["message"] == "x" * 4096


def test_an_unknown_image_is_never_run_on_the_machine(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("foreign", "true", image="nginx:1"))
    pod = cluster.wait("foreign", lambda pod: waiting(pod, "ImagePullBackOff"))
    assert "nginx:1" in container(pod)["state"]["waiting"]["message"]
    assert pod["status"]["phase"] == "Pending"


def test_an_image_of_ours_without_environment_reports_how_to_get_it(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("not-set-up", "true", image="fairlead/trainer:1"))
    pod = cluster.wait("not-set-up", lambda pod: waiting(pod, "ImagePullBackOff"))
    assert "fairlead setup" in container(pod)["state"]["waiting"]["message"]


def test_a_command_that_does_not_exist_is_a_start_error(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("mistyped", "no-such-command"))
    state = cluster.finished("mistyped")
    assert (state["exitCode"], state["reason"]) == (128, "StartError")
    assert "'no-such-command': executable file not found in $PATH" in state["message"]


def test_a_container_without_command_reports_that_it_needs_one(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("empty"))
    pod = cluster.wait("empty", lambda pod: waiting(pod, "CreateContainerConfigError"))
    assert "no command" in container(pod)["state"]["waiting"]["message"]


def test_init_containers_run_one_after_the_other_before_the_others(cluster: LocalCluster) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]

    def step(name: str, command: str) -> dict[str, object]:
        return {"name": name, "image": IMAGE, "command": ["sh", "-c", command], "volumeMounts": mounts}

    spec = {
        "initContainers": [step("one", "sleep 0.3; echo one >> /shared/log"), step("two", "echo two >> /shared/log")],
        "containers": [step("main", "cat /shared/log")],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    cluster.apply(make_pod("in-order", spec=spec))
    cluster.finished("in-order")
    assert cluster.kubectl("logs", "in-order", "-c", "main") == "one\ntwo\n"


def test_a_failed_init_container_fails_the_pod(cluster: LocalCluster) -> None:
    spec = {"initContainers": [{"name": "one", "image": IMAGE, "command": ["false"]}]}
    cluster.apply(make_pod("stuck", "true", spec=spec))
    pod = cluster.wait("stuck", lambda pod: pod["status"]["phase"] == "Failed")
    assert waiting(pod, "PodInitializing")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1


def test_a_failing_container_starts_again_and_then_backs_off(cluster: LocalCluster) -> None:
    cluster.apply(make_pod("restless", "sh", "-c", "exit 1", spec={"restartPolicy": "OnFailure"}))
    pod = cluster.wait("restless", lambda pod: waiting(pod, "CrashLoopBackOff"))
    status = container(pod)
    assert status["restartCount"] == 1 and status["lastState"]["terminated"]["exitCode"] == 1
    assert pod["status"]["phase"] == "Running"


def test_processes_left_running_end_with_the_container(cluster: LocalCluster) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    cluster.apply(make_pod("leaves", "python", "-c", script))
    cluster.finished("leaves")
    pid = int(cluster.kubectl("logs", "leaves"))
    assert not Path(f"/proc/{pid}").exists()


def test_an_exit_is_in_the_api_at_once(cluster: LocalCluster) -> None:
    script = "import time; t = time.time() + 1; time.sleep(1); print(t, flush=True)"
    cluster.apply(make_pod("prompt", "python", "-c", script))
    seen = asyncio.run(_moment_of_end(cluster, "prompt"))
    ended = float(cluster.kubectl("logs", "prompt"))
    assert seen - ended < 2.0  # about 0.05 s on an idle machine; tests share theirs


async def _moment_of_end(cluster: LocalCluster, name: str) -> float:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as client:
        async for _, pod in client.watch(POD, "default", fields=f"metadata.name={name}"):
            if pod["status"]["phase"] == "Succeeded":
                return time.time()
    raise AssertionError("the watch ended")
