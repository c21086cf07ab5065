"""Settings are read by name, and JSON bodies are bounded before they are built."""

import pytest
from fairlead_serving.bodies import MAX_CONTAINERS, dump_json, parse_json
from fairlead_serving.errors import BadRequest, Unprocessable
from fairlead_serving.limits import GIB, MIB, InvalidSetting, Limits


def test_settings_are_read_by_the_names_of_their_fields() -> None:
    environment = {"FAIRLEAD_MAX_BODY_BYTES": "5", "FAIRLEAD_GRACE_SECONDS": "0", "FAIRLEAD_IDLE_TIMEOUT_SECONDS": ""}
    limits = Limits.from_environment(environment, Limits(max_connections=7))
    assert limits == Limits(max_body_bytes=5, grace_seconds=0.0, max_connections=7)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("FAIRLEAD_MAX_IN_FLIGHT", "many", "an integer of at least 1"),
        ("FAIRLEAD_MAX_IN_FLIGHT", "0", "an integer of at least 1"),
        ("FAIRLEAD_MAX_BODY_BYTES", "1.5", "an integer of at least 1"),
        ("FAIRLEAD_RUN_TIMEOUT_SECONDS", "0", "a number of at least 0.001"),
        ("FAIRLEAD_RUN_TIMEOUT_SECONDS", "inf", "a number of at least 0.001"),
        ("FAIRLEAD_RUN_TIMEOUT_SECONDS", "nan", "a number of at least 0.001"),
        ("FAIRLEAD_GRACE_SECONDS", "-1", "a number of at least 0"),
    ],
)
def test_an_invalid_setting_names_itself_its_value_and_what_was_expected(name: str, text: str, expected: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Limits.from_environment({name: text})
    assert str(caught.value) == f"{name}: got {text!r}, expected {expected}"


@pytest.mark.parametrize("memory", [512 * MIB, 2 * GIB, 8 * GIB])
def test_the_parts_of_the_memory_add_up_to_less_than_the_whole(memory: int) -> None:
    limits = Limits(memory_bytes=memory, max_response_bytes=16 * MIB)
    connections = limits.max_connections * (limits.max_header_bytes + 65536)
    rest = 45 * MIB
    parts = limits.model_bytes + limits.buffered_bytes + limits.unsent_bytes
    assert parts + (connections + rest if memory >= 2 * GIB else 0) <= memory


def test_a_body_with_more_lists_than_memory_allows_is_rejected_before_it_is_built() -> None:
    with pytest.raises(BadRequest, match=f"got {MAX_CONTAINERS + 2} opening brackets, expected at most"):
        parse_json(b"[" + b"[]," * MAX_CONTAINERS + b"{}]")
    assert parse_json(b'[{"a": []}]') == [{"a": []}]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"NaN", b"[" * 2000 + b"]" * 2000])
def test_a_body_that_is_no_json_is_rejected(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^body: got b'.*', expected JSON"):
        parse_json(body)


def test_a_document_that_cannot_be_sent_is_rejected() -> None:
    assert dump_json({"a": [1]}, 9) == b'{"a":[1]}'
    with pytest.raises(Unprocessable, match="has 9 bytes, expected at most 8"):
        dump_json({"a": [1]}, 8)
    with pytest.raises(Unprocessable, match="cannot be encoded as JSON"):
        dump_json({"a": object()}, 100)
