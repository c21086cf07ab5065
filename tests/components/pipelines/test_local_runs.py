"""`fairlead-pipelines run`: errors before anything runs."""

from pathlib import Path

import pytest
from fairlead_pipelines.local import run_local

REQUIRED = [
    "--dataset-uri=file:///d", "--dataset-digest=sha256:0", "--expectation-suite={}", "--models-uri=file:///m",
]  # fmt: skip


def test_a_missing_parameter_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as rejected:
        run_local(REQUIRED[1:])
    assert rejected.value.code == 2
    assert "required: --dataset-uri" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        pytest.param("--workers=two", "argument --workers: invalid int value: 'two'", id="not a number"),
        pytest.param("--script-arguments=--epochs", "argument --script-arguments: ", id="not JSON"),
        pytest.param("--epochs=3", "unrecognized arguments: --epochs=3", id="not a parameter"),
    ],
)
def test_an_invalid_parameter_is_rejected(flag: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as rejected:
        run_local([*REQUIRED, flag])
    assert rejected.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_commands_are_named_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SystemExit, match="fairlead-data-validation, fairlead-evaluation, fairlead-onnx-converter: not on"
    ):
        run_local(REQUIRED)
