"""Settings come from the environment, or are refused by name."""

import pytest
from fairlead.core.settings import Settings


def test_settings_are_read_by_name_and_type() -> None:
    settings = Settings.from_environment({"FAIRLEAD_WORKERS": "3", "FAIRLEAD_NAMESPACES": "a,b", "OTHER": "x"})
    assert (settings.workers, settings.watched_namespaces) == (3, ("a", "b"))


def test_bad_value_is_refused_with_the_variable_and_what_was_expected() -> None:
    with pytest.raises(ValueError, match="FAIRLEAD_PROGRESS_SECONDS: got 'soon', expected float"):
        Settings.from_environment({"FAIRLEAD_PROGRESS_SECONDS": "soon"})
