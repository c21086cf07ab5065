"""What every command prints with, and how a command ends on an error."""

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
    """A command cannot do what it was asked; the message is for the user."""


def fail(message: str) -> NoReturn:
    """Print what is wrong and exit 1."""
    err.print(f"[bold red]error:[/] {escape(message)}")
    sys.exit(1)


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error of the command or of the SDK into a message and an exit code."""
    try:
        yield
    except (CommandError, FairleadError) as error:
        fail(str(error))


def styled(word: object) -> str:
    """Return a status word in its colour."""
    text = escape(str(word))
    style = _STATUS_STYLES.get(text)
    return f"[{style}]{text}[/]" if style else text


def escape(text: str) -> str:
    """Return text in which rich sees no markup."""
    return text.replace("[", r"\[")
