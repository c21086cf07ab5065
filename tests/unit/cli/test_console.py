"""What pods, objects and programs say, printed without anything that a terminal or rich obeys."""

import io

import pytest
from fairlead.cli.console import colored, escape, plain
from rich.console import Console


def render(markup: str) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False, emoji=False)
    console.print(markup, end="")
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[bold]a[/]", id="markup"),
        pytest.param("[/nothing]", id="a closing tag without its opening one"),
        pytest.param(r"\[/nothing]", id="a backslash before it"),
        pytest.param(r"\\[/nothing]", id="two of them"),
        pytest.param("[1, 2]", id="a list"),
        pytest.param("an open [link", id="half a tag"),
    ],
)
def test_a_text_as_markup_is_printed_as_it_is(text: str) -> None:
    assert render(f"[red]{escape(text)}[/]] x") == f"{text}] x"


def test_a_backslash_at_the_end_does_not_reach_the_markup_after_it() -> None:
    assert "[/]" not in render(f"[red]{escape('C:' + chr(92))}[/]")


def test_a_file_name_that_is_no_text_can_be_printed() -> None:
    assert plain("a\udcff\x1b[2J\u0085b\tc\n") == "a[2Jb\tc\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="a color"),
        pytest.param("\x1bc", "c", id="a reset"),
        pytest.param("\x1b[\x1b[m2J", "[2J", id="a sequence that another one hides"),
        pytest.param("\x1b[\x1b[K2J", "[2J", id="a sequence that another one hides, not of a color"),
        pytest.param("\x9b2J", "2J", id="a sequence of one character"),
        pytest.param("\x1b]8;;x\x07\x1b[2Jclick", "click", id="a link that ends early"),
        pytest.param("\x1b]0;title\x07done", "done", id="a title"),
        pytest.param("1%\r2%\r", "2%", id="a progress bar"),
        pytest.param("end of a line\r", "end of a line", id="an end of a line as on Windows"),
        pytest.param(f"\x1b[{'9' * 5000}mx", "x", id="a number without end"),
        pytest.param(":smile: [red]", ":smile: [red]", id="what rich would replace"),
    ],
)
def test_a_programs_line_keeps_its_colors_and_nothing_else(line: str, text: str) -> None:
    printed = colored(line)
    assert printed.plain == text
    assert not any(span.style.link for span in printed.spans if not isinstance(span.style, str))
    assert bool(printed.spans) == ("31m" in line)
