"""The time zone that Feast's stores rely on."""

import os
import time


def use_utc() -> None:
    """Set this process's time zone: Feast's SQLite store writes and reads event times in the local one."""
    os.environ["TZ"] = "UTC"
    time.tzset()
