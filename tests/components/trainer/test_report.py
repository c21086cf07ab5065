"""Termination messages stay valid JSON of at most 4,096 bytes."""

import json
from pathlib import Path

import pytest
from fairlead_trainer.report import Failure, failure_message, parse_failure, success_message, write_message


@pytest.mark.parametrize(
    "tail",
    ["", "short", "x" * 100_000, "\x01" * 100_000, "ü" * 100_000, '"\\' * 50_000, "\ud800" * 9000, "😀" * 9000],
    ids=["empty", "short", "ascii", "escapes", "umlauts", "quotes", "surrogates", "emoji"],
)
def test_any_log_fits_and_its_end_is_kept(tmp_path: Path, tail: str) -> None:
    failure = Failure(1, 1, 3, None, "Exited", tail)
    write_message(tmp_path / "log", failure_message(failure))
    content = (tmp_path / "log").read_bytes()
    kept = json.loads(content)["failure"]["logTail"]
    assert len(content) <= 4096
    assert len(content) > 3500 or len(kept) == len(tail)
    assert tail.replace("\ud800", "?").endswith(kept)


def test_a_success_of_too_many_words_gives_up_the_progress(tmp_path: Path) -> None:
    model = {"uri": "file:///m", "digest": "sha256:0", "version": "v1"}
    message = success_message(model, {"step": 1, "metrics": {f"{index:064}": 1e-300 for index in range(60)}})
    assert message == {"model": model, "progress": None}


def test_a_failure_survives_the_channel() -> None:
    failure = Failure(1, None, None, 9, "Killed", "last words")
    assert parse_failure(json.loads(json.dumps(failure.to_json()))) == failure


@pytest.mark.parametrize(
    "document", [None, [], {}, {"worker": 1, "reason": "Bored"}, {"worker": "1", "reason": "Killed"}]
)
def test_what_is_no_failure_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="expected a failure"):
        parse_failure(document)
