"""The objects of a code folder: the ConfigMap or artifact, and the TrainingJob."""

import base64
from pathlib import Path
from typing import Any

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.cli.console import CommandError
from fairlead_artifacts import fetch
from fairlead_projects.code.config_map import MAX_BYTES, build_config_map
from fairlead_projects.code.files import find_files
from fairlead_projects.code.job import JobOptions, choose_command, choose_name
from fairlead_projects.code.objects import build_objects

from .conftest import Write

DIGEST = "sha256:" + "ab" * 32
OPTIONS = JobOptions(name="houses", image="me/train:1", command=["python3", "train.py"], workers=2)


def mounted(config_map: dict[str, Any], volume: dict[str, Any]) -> dict[str, bytes]:
    """Return the files that a kubelet makes of a ConfigMap's volume."""
    contents = {key: text.encode() for key, text in config_map.get("data", {}).items()}
    contents |= {key: base64.b64decode(text) for key, text in config_map.get("binaryData", {}).items()}
    return {item["path"]: contents[item["key"]] for item in volume["configMap"]["items"]}


def test_a_nested_folder_with_binary_files_comes_back_whole(write: Write) -> None:
    named = {
        "a__b.py": b"1", "a/b.py": b"2", "a/größe 1.py": b"3", "a/gr__e 1.py": b"6", "bin": b"\xff\x00",
        "run.sh": b"#!", "x/" + "long" * 60 + ".py": b"4", "y/" + "long" * 60 + ".py": b"5",
    }  # fmt: skip
    root = write(named)
    (root / "run.sh").chmod(0o755)
    config_map, volume = build_config_map("houses", find_files(root))
    assert mounted(config_map, volume) == named
    keys = [*config_map["data"], *config_map["binaryData"]]
    assert len(set(keys)) == len(named) and all(len(key) <= 253 for key in keys)
    modes = {item["path"]: item["mode"] for item in volume["configMap"]["items"]}
    assert (modes["run.sh"], modes["a/b.py"]) == (0o555, 0o444)


def test_the_name_changes_with_the_content_and_the_object_does_not(write: Write) -> None:
    first, _ = build_config_map("houses", find_files(write({"train.py": "1"})))
    again, _ = build_config_map("houses", find_files(write({"train.py": "1"})))
    other, _ = build_config_map("houses", find_files(write({"train.py": "2"})))
    assert first == again and first["immutable"]
    assert first["metadata"]["name"] != other["metadata"]["name"]
    assert first["metadata"]["name"].startswith("houses-code-")


def test_a_small_folder_is_mounted_read_only_where_the_command_starts(write: Write) -> None:
    objects = build_objects(OPTIONS, find_files(write({"train.py": "1"})), None)
    job = TrainingJob.model_validate(objects.job)
    trainer = job.spec.workers.template.trainer.to_dict()
    assert trainer["command"] == ["python3", "train.py"]
    assert trainer["workingDir"] == "/code"
    assert trainer["volumeMounts"] == [{"name": "code", "mountPath": "/code", "readOnly": True}]
    assert (job.spec.workers.replicas, job.spec.dataset, job.spec.model) == (2, None, None)
    assert objects.config_map and objects.all == [objects.config_map, objects.job]
    assert "envFrom" not in trainer


def test_a_folder_that_is_too_large_is_rejected_with_what_to_do(write: Write) -> None:
    files = find_files(write({"train.py": "1", "weights.bin": b"\0" * MAX_BYTES}))
    with pytest.raises(CommandError, match=r"921,620 bytes in 2 files .*, expected at most 921,600 in 1,000") as error:
        build_objects(OPTIONS, files, None)
    for remedy in (".gitignore", "fairlead dataset publish", "--code-uri"):
        assert remedy in str(error.value)


def test_more_files_than_a_pod_can_list_are_rejected(write: Write) -> None:
    files = find_files(write({f"{number}.py": "" for number in range(1001)}))
    with pytest.raises(CommandError, match=r"in 1,001 files .*, expected at most .* in 1,000 files"):
        build_objects(OPTIONS, files, None)


def test_a_large_folder_is_an_artifact_that_an_init_container_fetches(write: Write, tmp_path: Path) -> None:
    files = find_files(write({"train.py": "1", "weights.bin": b"\0" * MAX_BYTES, ".env": "secret"}))
    objects = build_objects(OPTIONS, files, f"file://{tmp_path}/store/code/")
    pod = TrainingJob.model_validate(objects.job).spec.workers.template.spec.to_dict()
    (init,) = pod["initContainers"]
    program, action, uri, target, _, digest = init["command"]
    assert (program, action, target, init["image"]) == ("fairlead-artifacts", "fetch", "/code", "me/train:1")
    manifest = fetch(uri, tmp_path / "copy", digest)
    assert manifest.kind == "code"
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["train.py", "weights.bin"]
    assert pod["volumes"] == [{"name": "code", "emptyDir": {}}]
    assert objects.config_map is None
    again = build_objects(OPTIONS, files, f"file://{tmp_path}/store/code")
    assert again == objects


def test_a_link_is_published_as_its_file(write: Write, tmp_path: Path) -> None:
    root = write({"train.py": "1", "pkg/model.py": "m"})
    (root / "model.py").symlink_to("pkg/model.py")
    objects = build_objects(OPTIONS, find_files(root), f"file://{tmp_path}/store")
    assert objects.code_uri
    fetch(objects.code_uri, tmp_path / "copy")
    assert (tmp_path / "copy/model.py").read_text() == (tmp_path / "copy/pkg/model.py").read_text() == "m"


def test_what_the_user_asks_for_is_in_the_job(write: Write) -> None:
    options = JobOptions(
        name="houses", image="me/train:1", command=["x"], launcher="Torchrun", workers=3, slots=2,
        dataset=("s3://data/houses/v1", DIGEST), model="s3://models/houses", environment={"A": "b"},
        resources={"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "2"},
    )  # fmt: skip
    job = TrainingJob.model_validate(build_objects(options, find_files(write({"train.py": "1"})), None).job)
    trainer = job.spec.workers.template.trainer.to_dict()
    assert (job.spec.launcher, job.spec.workers.replicas, job.spec.workers.slots) == ("Torchrun", 3, 2)
    assert job.spec.dataset and (job.spec.dataset.uri, job.spec.dataset.digest) == ("s3://data/houses/v1", DIGEST)
    assert job.spec.model and job.spec.model.uri == "s3://models/houses"
    assert trainer["env"] == [{"name": "A", "value": "b"}]
    assert trainer["resources"] == {
        "requests": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "4Gi", "nvidia.com/gpu": "2"},
    }
    assert trainer["envFrom"] == [{"secretRef": {"name": "artifact-store", "optional": True}}]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"name": "1a"}, "metadata: .*got '1a', expected", id="a name"),
        pytest.param({"workers": 513}, "spec.workers.replicas: got 513", id="too many workers"),
        pytest.param({"slots": 65}, "spec.workers.slots: got 65", id="too many slots"),
        pytest.param({"model": "/tmp/x"}, "spec.model.uri: got '/tmp/x'", id="a path instead of a URI"),
    ],
)
def test_what_the_api_server_would_reject_is_named_before_anything_is_published(
    write: Write, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    options = JobOptions(**(vars(OPTIONS) | change))
    with pytest.raises(CommandError, match=problem):
        build_objects(options, find_files(write({"train.py": "1"})), f"file://{tmp_path}/store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("project", "project"), ("My Project_2", "my-project"), ("2nd.try", "nd-try"), ("x" * 60, "x" * 50)],
)
def test_the_name_of_a_folder_becomes_that_of_a_job(folder: str, name: str) -> None:
    assert choose_name(folder) == name


def test_a_folder_whose_name_gives_none_is_rejected() -> None:
    with pytest.raises(CommandError, match="--name"):
        choose_name("2024")


def test_the_command_is_that_of_the_script_at_the_top_unless_one_is_given() -> None:
    assert choose_command(["sh", "x"], ["train.py"]) == ["sh", "x"]
    assert choose_command([], ["main.py", "train.py"]) == ["python3", "train.py"]
    assert choose_command([], ["a/train.py", "main.py"]) == ["python3", "main.py"]
    with pytest.raises(CommandError, match="--command"):
        choose_command([], ["a/train.py"])
