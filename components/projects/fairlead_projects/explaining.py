"""Errors of the commands: what is wrong with a file or an artifact is a message, not a traceback."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.cli import console
from fairlead.cli.console import CommandError
from fairlead_artifacts import ArtifactError
from fairlead_datasets.errors import Unusable

RETRY_SECONDS = 10.0
"""How long a store may be unavailable before a command says so: the user waits at the terminal and can try again."""


@contextmanager
def explained() -> Iterator[None]:
    """Exit with a message on errors of files, datasets, artifacts, the command or the SDK."""
    with console.explained():
        try:
            yield
        except (ArtifactError, Unusable) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            if error.filename is None:
                raise
            raise CommandError(f"{os.fsdecode(error.filename)}: {error.strerror}") from None
