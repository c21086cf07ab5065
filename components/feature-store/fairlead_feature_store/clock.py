"""The clock, and the time zone that Feast's stores rely on."""

import os
import time
from datetime import timedelta

SKEW = timedelta(minutes=5)
"""How far the clocks of two machines may be apart: no time that is further in the future is taken for the present."""


def use_utc() -> None:
    """Set this process's time zone, in which Feast's SQLite store has event times, and that of its sessions of Postgres.

    Postgres's would be the server's, in which the times in UTC that Feast writes would be read.
    """
    os.environ["TZ"] = os.environ["PGTZ"] = "UTC"
    time.tzset()
