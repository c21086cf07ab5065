"""The clock, and the time zone that Feast's stores rely on."""

import os
import time
from datetime import timedelta

SKEW = timedelta(minutes=5)
"""How far the clocks of two machines may be apart: no time that is further in the future is taken for the present."""


def use_utc() -> None:
    """Set the time zone of this process and of its sessions of Postgres.

    Feast's SQLite store has event times in the local one; Postgres would read them, which are in UTC, in the server's.
    """
    os.environ["TZ"] = os.environ["PGTZ"] = "UTC"
    time.tzset()
