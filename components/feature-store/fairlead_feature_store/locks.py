"""A lock for writing a view, on what all that write it share: the registry."""

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

from feast import FeatureStore
from feast.infra.registry.sql import SqlRegistry
from sqlalchemy import text

from .errors import StoreAway


@contextlib.contextmanager
def lock_view(feast: FeatureStore, view: str) -> Iterator[None]:
    """Hold the lock of a view during the block; raise StoreAway at once if another run has it.

    Registries in Postgres, and in files of this machine, have locks. Others have none.
    """
    name = f"{feast.project}_{view}"
    engine = getattr(feast.registry, "write_engine", None) if isinstance(feast.registry, SqlRegistry) else None
    if engine is not None and engine.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        # the session's, not the transaction's, which would stay open while the view is written
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            _require(bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})), view)
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        return
    path = engine.url.database if engine is not None else str(feast.config.registry.path)
    if not path or "://" in path or (engine is not None and engine.dialect.name != "sqlite"):
        yield
        return
    with Path(f"{path}.{name}.lock").open("w") as file:
        _require(_try(file.fileno()), view)
        yield  # and closing the file ends it


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require(free: bool, view: str) -> None:
    if not free:
        raise StoreAway(f"views.{view}: another run is writing it; try again when that has ended")
