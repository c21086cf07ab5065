"""Output and error handling of the commands."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from fairlead.client import FairleadError

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

_STATUS_STYLES = {
    "Succeeded": "green", "Running": "cyan", "Failed": "bold red", "Blocked": "yellow", "Restarting": "yellow",
    "True": "green", "False": "yellow",
}  # fmt: skip


_COLOR = re.compile(r"(\x1b\[[0-9;]{0,64}m)")
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""What programs write to move the cursor, set the title or begin a link, and colors."""


class CommandError(Exception):
    """A command failed; the message is shown to the user."""


def fail(message: str) -> NoReturn:
    """Print an error message and exit with status 1."""
    err.print(f"[bold red]error:[/] {escape(message)}")
    sys.exit(1)


@contextmanager
def explained() -> Iterator[None]:
    """Exit with a message on errors of the command or the SDK."""
    try:
        yield
    except (CommandError, FairleadError) as error:
        fail(str(error))


def style_of(word: str) -> str:
    """Return the style of a status word; empty for one without."""
    return _STATUS_STYLES.get(word, "")


def styled(word: object) -> str:
    """Return a status word with its color as markup."""
    text = escape(str(word))
    style = style_of(str(word))
    return f"[{style}]{text}[/]" if style else text


def escape(text: str) -> str:
    """Return a text as markup that prints it as it is, without the control characters that terminals obey."""
    # backslashes before a bracket would escape the escape
    return re.sub(r"(\\+)(?=\[|\Z)", r"\1\1", plain(text)).replace("[", r"\[")


def plain(text: str) -> str:
    """Return a text that can be printed: without control characters, except for tabs and the ends of lines."""
    return "".join(
        c for c in text if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff")
    )


def colored(line: str) -> Text:
    """Return a line of a program's output in its colors, without all other escape codes."""
    last = line.rstrip("\r").rpartition("\r")[2]  # a progress bar writes over what it wrote before
    kept = _SEQUENCE.sub(lambda found: found[0] if _COLOR.fullmatch(found[0]) else "", last)
    # what is left may be half a sequence that the next one would complete
    return Text.from_ansi("".join(part if _COLOR.fullmatch(part) else plain(part) for part in _COLOR.split(kept)))
