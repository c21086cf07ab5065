"""Send records to a collector: a POST of JSON, at least once, when the network allows."""

import http.client
import json
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..errors import InputUnusable

TOKEN = "FAIRLEAD_TELEMETRY_TOKEN"
"""The variable with the token of the collector, sent as `Authorization: Bearer`."""
BATCH = 50
"""How many records are sent at a time."""
_SECONDS = 10.0
_CONNECTIONS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}


@dataclass(frozen=True)
class Collector:
    """Where records are sent."""

    url: SplitResult
    token: str | None = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Collector":
        """Parse a URL, and read the token from the environment; raise InputUnusable."""
        try:
            url = urlsplit(text)
            usable = url.scheme in _CONNECTIONS and url.hostname is not None and url.username is None
            usable = usable and (url.port is None or url.port > 0)
        except ValueError:
            usable = False
        if not usable:
            raise InputUnusable(f"--telemetry: got {text!r:.200}, expected http://… or https://… without a user")
        token = os.environ.get(TOKEN, "").strip()
        if not (token.isascii() and token.isprintable()):
            raise InputUnusable(f"{TOKEN}: expected printable characters of ASCII")
        return cls(url, token or None)

    def send(self, device: str, records: list[Any]) -> str | None:
        """Send records; return why they are not delivered, or None. A redirect is no delivery."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps({"device": device, "records": records})
        path = (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")
        assert self.url.hostname is not None
        connection = _CONNECTIONS[self.url.scheme](self.url.hostname, self.url.port, timeout=_SECONDS)
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            connection.close()
        return None if 200 <= status < 300 else f"the collector answers with {status}"
