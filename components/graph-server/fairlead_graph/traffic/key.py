"""The key that the operator and the servers of a deployment share: it signs documents, and lets servers forward."""

import hmac
import logging
import time
from collections.abc import Callable

from fairlead_contracts.errors import ContractError
from fairlead_contracts.traffic import FORWARDED, is_signed, make_pass

from ..settings import TrafficSettings, read_key

_log = logging.getLogger(__name__)
CREDENTIALS = ("Authorization", "X-API-Key")
"""The headers, or metadata of gRPC, in which a client may send an API key."""
_PAUSE_SECONDS = 1.0
"""How often wrong passes make the server read the file: anybody can send them."""


class TrafficKey:
    """The key in force. If its Secret was deleted, the operator has made a new one, which the kubelet brings."""

    def __init__(self, settings: TrafficSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._key, self._file, self._clock = settings.key, settings.key_file, clock
        self._pass = make_pass(self._key)
        self._read_at = clock()

    def is_signed(self, body: bytes, signature: str) -> bool:
        """Return whether a document has the key's signature; the key is read again if it has not.

        Without that, a server would forward to a candidate that is gone until it is restarted.
        """
        return is_signed(self._key, body, signature) or (self._renew() and is_signed(self._key, body, signature))

    def is_pass(self, value: bytes) -> bool:
        """Return whether a request was forwarded by a server with the same key."""
        if hmac.compare_digest(self._pass.encode(), value):
            return True
        return self._renew_if_due() and hmac.compare_digest(self._pass.encode(), value)

    def make_pass(self) -> str:
        """Return what other servers accept as a pass."""
        self._renew_if_due()
        return self._pass

    def _renew_if_due(self) -> bool:
        return self._clock() - self._read_at >= _PAUSE_SECONDS and self._renew()

    def _renew(self) -> bool:
        """Read the key again; return True if it is another one."""
        self._read_at = self._clock()
        if self._file is None:
            return False
        try:
            key = read_key(self._file)
        except (OSError, ContractError) as error:
            _log.error("the key is not read again", extra={"path": str(self._file), "reason": str(error)})
            return False
        if key == self._key:
            return False
        self._key, self._pass = key, make_pass(key)
        return True


class Onward:
    """What a server says of itself, instead of its client, in the requests that it sends on."""

    def __init__(self, key: TrafficKey, keeps_keys: bool) -> None:
        """A server that asks for API keys keeps them to itself: the pass is what counts at others."""
        self._key, self._dropped = key, CREDENTIALS if keeps_keys else ()

    @property
    def headers(self) -> dict[str, str]:
        """Return headers to set or, if they are empty, to drop."""
        return {**dict.fromkeys(self._dropped, ""), FORWARDED: self._key.make_pass()}
