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


def styled(word: object) -> str:
    """Return a status word with its color as markup."""
    text = escape(str(word))
    style = _STATUS_STYLES.get(text)
    return f"[{style}]{text}[/]" if style else text


def escape(text: str) -> str:
    """Escape rich markup in a text."""
    return text.replace("[", r"\[")
