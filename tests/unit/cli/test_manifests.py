"""Objects as YAML mean the same to kubectl and to us."""

from pathlib import Path

import pytest
import yaml
from fairlead.cli.console import CommandError
from fairlead.cli.manifests import format_manifests, read_manifests

from tests.support.yaml_texts import AMBIGUOUS_TEXTS

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: texts}\n"


@pytest.mark.parametrize("text", AMBIGUOUS_TEXTS)
def test_a_text_that_go_could_take_for_a_number_is_quoted(text: str) -> None:
    written = format_manifests([{"value": text}])
    assert written in (f"value: '{text}'\n", f'value: "{text}"\n')
    assert yaml.safe_load(written) == {"value": text}


@pytest.mark.parametrize("value", [0, 7, -3, 1e5, 1e-9, 2.5, float("inf"), True, False, None, "digits", "v1", "a: b"])
def test_other_values_are_written_plainly(value: object) -> None:
    assert yaml.safe_load(format_manifests([{"value": value}])) == {"value": value}
    assert '"' not in format_manifests([{"value": value}])


def test_texts_of_several_lines_are_blocks_without_anchors() -> None:
    code = {"train.py": "import os\nprint(1)\n"}
    assert format_manifests([{"a": code, "b": code}]).count("train.py: |\n") == 2


def test_objects_are_written_as_documents(tmp_path: Path) -> None:
    objects = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": str(n)}} for n in range(2)]
    (tmp_path / "all.yaml").write_text(format_manifests(objects))
    assert read_manifests(tmp_path) == objects


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("1e5", 1e5), ("0899", 899.0), ("0o17", 15), ("017", 15), ("0x1F", 31), ("0b11", 3), ("1_000", 1000),
        ("-7", -7), ("1.5", 1.5), (".5", 0.5), ("y", True), ("N", False), ("on", True), ("~", None),
        ("1:30", "1:30"), ("e5", "e5"), ("2026-11-28", "2026-11-28"),
        ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00Z"), ("1.2.3", "1.2.3"),
        ("._", "._"), ("0b_", "0b_"), ("0x_", "0x_"), ("0_7", 7), ("0_", 0),
    ],
)  # fmt: skip
def test_plain_scalars_are_read_as_kubectl_reads_them(tmp_path: Path, plain: str, value: object) -> None:
    (tmp_path / "one.yaml").write_text(f"{HEAD}data: {{text: {plain}}}\n")
    found = read_manifests(tmp_path)[0]["data"]["text"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", [b"a: [", b"\xff\xfe\xff", b"just a text", b"", b"kind: ConfigMap", b"a: !!python/none x", b"a: !!int x"]
)
def test_what_is_no_object_is_rejected_with_its_file(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "bad.yaml").write_bytes(text)
    with pytest.raises(CommandError, match=str(tmp_path)):
        read_manifests(tmp_path / "bad.yaml")
