"""The clock, and the time zone that Feast's stores rely on."""

import os
import time
from datetime import timedelta

SKEW = timedelta(minutes=5)
"""How far the clocks of two machines may be apart: no time that is further in the future is taken for the present."""


def use_utc() -> None:
    """Set this process's time zone: Feast's SQLite store writes and reads event times in the local one."""
    os.environ["TZ"] = "UTC"
    time.tzset()
