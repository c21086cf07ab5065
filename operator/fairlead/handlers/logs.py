"""Logging as JSON lines or as text."""

import logging
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

_LAYOUT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_FIELDS = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "trace"}


def set_up_logging(log_format: Literal["json", "text"]) -> None:
    """Log to standard error from level INFO, and from WARNING for kopf."""
    handler = logging.StreamHandler()
    if log_format == "json":
        handler.setFormatter(_LowerCaseLevels(_LAYOUT, datefmt="%Y-%m-%dT%H:%M:%S%z", rename_fields=_FIELDS))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)


class _LowerCaseLevels(JsonFormatter):
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return log_data | {"level": log_data["level"].lower()}
