"""How a command of this distribution ends on an error."""

from collections.abc import Iterator
from contextlib import contextmanager

from fairlead.cli.console import CommandError, fail
from fairlead.client import FairleadError

from fairlead_cluster.base.errors import ClusterError, SetupError


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error that a user can act on into a message and exit code 1."""
    try:
        yield
    except (ClusterError, CommandError, FairleadError, SetupError) as error:
        fail(str(error))
