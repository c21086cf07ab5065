"""Settings are read from the environment, and invalid ones are rejected by name."""

import pytest
from fairlead.handlers.settings import read_settings


def test_settings_are_read_by_name_and_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_WORKERS", "3")
    monkeypatch.setenv("FAIRLEAD_NAMESPACES", "a,b")
    monkeypatch.setenv("POD_NAME", "operator-0")
    settings = read_settings()
    assert (settings.workers, settings.watched_namespaces) == (3, ("a", "b"))
    assert settings.identity == "operator-0"


def test_invalid_value_is_rejected_with_the_variable_and_what_was_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_PROGRESS_SECONDS", "soon")
    with pytest.raises(ValueError, match="FAIRLEAD_PROGRESS_SECONDS: got 'soon', expected float"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("WORKERS", "or equal to 1"), ("PROGRESS_SECONDS", "greater than 0"), ("GATE_SECONDS", "greater than 0")],
)
def test_a_setting_that_would_stop_the_operators_work_is_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.setenv(f"FAIRLEAD_{name}", "0")
    with pytest.raises(ValueError, match=f"FAIRLEAD_{name}: got '0', expected .*{expected}"):
        read_settings()
