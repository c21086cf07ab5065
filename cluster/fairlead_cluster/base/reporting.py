"""Error reporting of this distribution's commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.cli.console import CommandError, fail
from fairlead.client import FairleadError

from fairlead_cluster.base.errors import ClusterError, SetupError


@contextmanager
def explained() -> Iterator[None]:
    """Exit with a message and status 1 on errors that the user can fix."""
    try:
        yield
    except (ClusterError, CommandError, FairleadError, SetupError) as error:
        fail(str(error))
