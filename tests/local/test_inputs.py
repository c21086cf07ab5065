"""Inputs of a container on the process node: variables, files, volumes."""

import base64
import json

from tests.local.support import LocalCluster, container, make_pod, waiting

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "config", "namespace": "default"},
    "data": {"mode": "fast", "file.txt": "hello"},
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "secret", "namespace": "default"},
    "data": {"key": base64.b64encode(b"0123").decode()},
}
SHOW = "import os, json; print(json.dumps(dict(os.environ)))"


def test_variables_come_from_values_fields_config_maps_and_secrets(cluster: LocalCluster) -> None:
    env = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "UID_OF_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "no", "optional": True}}},
        {"name": "URL", "value": "http://$(POD_IP):$(PORT)/$$(POD_IP)"},
    ]
    env_from = [{"configMapRef": {"name": "config"}, "prefix": "FROM_"}]
    cluster.apply(CONFIG, SECRET, make_pod("variables", "python", "-c", SHOW, env=env, envFrom=env_from))
    cluster.finished("variables")
    shown = json.loads(cluster.kubectl("logs", "variables"))
    pod = cluster.get("pod", "variables")
    address = pod["status"]["podIP"]
    assert shown["FAIRLEAD_BIND_ADDRESS"] == shown["POD_IP"] == address
    assert shown["UID_OF_POD"] == pod["metadata"]["uid"]
    assert (shown["APP"], shown["KEY"], shown["FROM_mode"]) == ("variables", "0123", "fast")
    assert shown["URL"] == f"http://{address}:$(PORT)/$(POD_IP)"
    assert "ABSENT" not in shown and "USER" not in shown


def test_volumes_are_found_below_their_mount_paths(cluster: LocalCluster) -> None:
    spec = {
        "volumes": [
            {"name": "config", "configMap": {"name": "config", "items": [{"key": "file.txt", "path": "sub/a.txt"}]}},
            {"name": "secret", "secret": {"secretName": "secret"}},
            {"name": "info", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"name": "scratch", "emptyDir": {}},
        ]
    }
    mounts = [
        {"name": "config", "mountPath": "/etc/app/config"},
        {"name": "secret", "mountPath": "/etc/app"},
        {"name": "info", "mountPath": "/info"},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
    script = "cat /etc/app/config/sub/a.txt $KEY_FILE /info/name; echo; echo x >/scratch/y; ls"
    env = [{"name": "KEY_FILE", "value": "/etc/app/key"}]
    pod = make_pod("mounts", "sh", "-c", script, env=env, spec=spec, volumeMounts=mounts, workingDir="/scratch")
    cluster.apply(CONFIG, SECRET, pod)
    cluster.finished("mounts")
    assert cluster.kubectl("logs", "mounts") == "hello0123mounts\ny\n"


def test_a_pod_reports_that_it_waits_for_a_config_map(cluster: LocalCluster) -> None:
    late = CONFIG | {"metadata": {"name": "late", "namespace": "default"}}
    cluster.apply(make_pod("patient", "sh", "-c", "echo $mode", envFrom=[{"configMapRef": {"name": "late"}}]))
    pod = cluster.wait("patient", lambda pod: waiting(pod, "CreateContainerConfigError"))
    assert container(pod)["state"]["waiting"]["message"] == "configmap 'late' not found"
    cluster.apply(late)
    cluster.finished("patient")
    assert cluster.kubectl("logs", "patient") == "fast\n"


def test_unsupported_volumes_are_rejected_with_a_reason(cluster: LocalCluster) -> None:
    spec = {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
    cluster.apply(make_pod("greedy", "true", spec=spec))
    pod = cluster.wait("greedy", lambda pod: "hostPath" in str(pod["status"].get("containerStatuses")))
    assert "volume 'host': got hostPath, expected one of" in container(pod)["state"]["waiting"]["message"]


def test_a_pod_gets_a_token_of_its_service_account(cluster: LocalCluster) -> None:
    script = "print(open('/var/run/secrets/kubernetes.io/serviceaccount/token').read().count('.'))"
    cluster.apply(make_pod("account", "python", "-c", script, spec={"automountServiceAccountToken": True}))
    cluster.finished("account")
    assert cluster.kubectl("logs", "account") == "2\n"
