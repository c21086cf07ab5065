"""A script's parameters: said once, bounded, and never trusted."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.parameters import MAX_PARAMETERS, salvage_parameters
from fairlead_trainer import report_parameters
from fairlead_trainer.parameters import read_parameters


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "parameters.json"
    monkeypatch.setenv("FAIRLEAD_PARAMETERS_FILE", str(path))
    return path


def test_what_a_script_says_is_read_as_texts(file: Path) -> None:
    report_parameters({"learning_rate": 0.1, "optimizer": "größe", "layers": 3, "nesterov": True})
    expected = {"learning_rate": "0.1", "optimizer": "größe", "layers": "3", "nesterov": "True"}
    assert read_parameters(file) == expected
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_outside_a_job_parameters_are_only_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_PARAMETERS_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    report_parameters({"a": 1})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="parameters: 'a': got list, expected a text"):
        report_parameters({"a": [1]})  # type: ignore[dict-item]


INVALID: dict[str, Any] = {
    "a list": {"a": [1]},
    "nothing": {"a": None},
    "no finite number": {"a": float("nan")},
    "a long value": {"a": "x" * 201},
    "a long integer": {"a": 10**4000},
    "a value of two lines": {"a": "x\ny"},
    "a long name": {"x" * 101: 1},
    "no name": {"": 1},
    "a name of two lines": {"a\nb": 1},
}


@pytest.mark.parametrize("reason", INVALID)
def test_what_would_not_be_recorded_is_an_error_in_the_script_and_dropped_from_its_file(
    reason: str, file: Path
) -> None:
    with pytest.raises(ValueError, match=r"parameters: .*(expected|too long)"):
        report_parameters(INVALID[reason])
    assert not file.exists()
    assert salvage_parameters(INVALID[reason] | {"ok": 1}) == {"ok": "1"}


def test_too_many_parameters_are_an_error_in_the_script_and_the_first_ones_are_read_from_its_file(file: Path) -> None:
    many = {f"p{number}": number for number in range(MAX_PARAMETERS + 1)}
    with pytest.raises(ValueError, match="parameters: got 51, expected at most 50"):
        report_parameters(many)
    file.write_text(json.dumps(many))
    assert list(read_parameters(file)) == list(many)[:MAX_PARAMETERS]


def test_parameters_that_together_are_too_long_are_rejected(file: Path) -> None:
    with pytest.raises(ValueError, match="bytes, expected at most 8192"):
        report_parameters({f"p{number}": "ü" * 200 for number in range(MAX_PARAMETERS)})
    assert not file.exists()


LONG = b'{"a": 1' + b" " * 9000 + b"}"


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b'{"a": ', b"\xff", b"[" * 5000, LONG])
def test_a_file_that_is_no_object_says_nothing(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert read_parameters(file) == {}


def test_a_pipe_instead_of_a_file_holds_nobody_up(file: Path) -> None:
    os.mkfifo(file)
    assert read_parameters(file) == {}
