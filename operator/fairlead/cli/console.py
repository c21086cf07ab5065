"""Output and error handling of the commands."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console

from fairlead.client import FairleadError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_STATUS_STYLES = {
    "Succeeded": "green", "Running": "cyan", "Failed": "bold red", "Blocked": "yellow", "Restarting": "yellow",
    "True": "green", "False": "yellow",
}  # fmt: skip


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
    return plain(text).replace("[", r"\[")


def plain(text: str) -> str:
    """Return a text without control characters, except for tabs and the ends of lines."""
    return "".join(c for c in text if (c >= " " and not "\x7f" <= c <= "\x9f") or c in "\n\t")
