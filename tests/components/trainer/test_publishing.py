"""Publishing what rank 0 wrote."""

import os
from pathlib import Path

import pytest
from fairlead_trainer.data import publish_model
from fairlead_trainer.delays import Activity


def test_a_pipe_in_place_of_the_signature_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    os.mkfifo(tmp_path / "model" / "signature.json")
    with pytest.raises(OSError, match="is a named pipe; expected a regular file"):
        publish_model(tmp_path / "model", (tmp_path / "store").as_uri(), None, Activity(), dataset=None, replace=False)
