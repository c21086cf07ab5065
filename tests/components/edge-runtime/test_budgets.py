"""The parity budget on the command line and in a file."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.parity_budget import Budget
from fairlead_edge.budgets import add_budget, read_budget
from fairlead_edge.errors import InputUnusable


def parse(*arguments: str) -> Budget:
    parser = argparse.ArgumentParser()
    add_budget(parser)
    return read_budget(parser.parse_args(arguments))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a budget file and returns its path."""

    def run(text: str) -> str:
        (tmp_path / "budget.yaml").write_text(text)
        return str(tmp_path / "budget.yaml")

    return run


def test_without_options_the_limits_are_the_defaults() -> None:
    assert parse() == Budget()


def test_every_limit_is_an_option_and_a_line_of_a_file(write: Callable[[str], str]) -> None:
    limits: dict[str, Any] = {field.name: 0.5 for field in fields(Budget)} | {"min_examples": 7}
    options = [part for name, limit in limits.items() for part in (f"--{name.replace('_', '-')}", str(limit))]
    assert parse(*options) == Budget(**limits)
    lines = "".join(f"{name}: {limit}\n" for name, limit in limits.items())
    assert parse("--budget", write(lines)) == Budget(**limits)


def test_an_option_goes_before_the_file_and_the_file_before_the_default(write: Callable[[str], str]) -> None:
    file = write(
        "---\n# for the north\nmax_drop: 0.02   # two in a hundred\n\nmin_agreement: 9e-1\nmax_difference: null\n"
    )
    assert parse("--budget", file, "--max-drop", "0") == Budget(max_drop=0, min_agreement=0.9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_dorp: 0.1", "budget.yaml: max_dorp: got an unknown limit, expected one of min_examples, max_drop"),
        ("max_drop: 2", "budget.yaml: max_drop: got 2, expected a number from 0 to 1"),
        ("max_drop: .nan", "budget.yaml: line 1: got 'max_drop: .nan', expected such as `max_drop: 0.02`"),
        ("max_drop: nan", "budget.yaml: max_drop: got nan, expected a number from 0 to 1"),
        ("min_examples: 1.5", "budget.yaml: min_examples: got 1.5, expected an integer from 1"),
        ("max_drop: null", "budget.yaml: max_drop: got None, expected a number"),
        ("\nmax_drop: [0.1]", "budget.yaml: line 2: got 'max_drop: [0.1]', expected such as"),
        ("max_drop:\n  a: 1", "budget.yaml: line 1: got 'max_drop:', expected such as"),
        ("max_drop: 0.1\n min_agreement: 0.1", "budget.yaml: line 2: got ' min_agreement: 0.1', expected such as"),
        ("max_drop 0.1", "budget.yaml: line 1: got 'max_drop 0.1', expected such as"),
        ("max_drop: 0.1\nmax_drop: 0.2", "budget.yaml: line 2: got 'max_drop' twice, expected it once"),
        ("#" * 70000, "budget.yaml: got more than 65536 bytes, expected a line for each limit"),
        ("\udcff: 1".encode("utf-8", "surrogateescape").decode("latin-1"), "budget.yaml: ÿ: got an unknown limit"),
    ],
)
def test_a_file_that_cannot_be_used_is_rejected_by_line_or_name(
    write: Callable[[str], str], text: str, reason: str
) -> None:
    with pytest.raises(InputUnusable) as caught:
        parse("--budget", write(text))
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--min-examples", "0", "got '0', expected an integer from 1 to 1000000000"),
        ("--min-examples", "ten", "got 'ten', expected an integer from 1 to 1000000000"),
        ("--min-agreement", "1.01", "got '1.01', expected a number from 0 to 1"),
        ("--max-relative-difference", "-1", "got '-1', expected a finite number of at least 0"),
        ("--max-difference", "inf", "got 'inf', expected a finite number"),
    ],
)
def test_an_option_out_of_bounds_is_rejected(
    option: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(f"{option}={value}")
    assert f"argument {option}: {reason}" in capsys.readouterr().err


def test_the_options_are_parsed_without_pydantic() -> None:
    code = (
        "import sys; from fairlead_edge.main import _build_parser; "
        "_build_parser().parse_args(['compare', '--model', 'm', '--dataset', 'd', '--max-drop', '0.1']); "
        "print([name for name in ('pydantic', 'onnx', 'fairlead_edge.parity') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_budget_of_a_bundle_can_be_read_again() -> None:
    assert Budget.parse(json.loads(json.dumps(parse("--max-slice-drop", "0.3").to_json()))) == Budget(
        max_slice_drop=0.3
    )
