"""The places of calls without a key."""

from fairlead_serving.errors import Overloaded


class Places:
    """Bounds how many calls without a key wait for their requests: those with one must find a place among all calls."""

    def __init__(self, most: int) -> None:
        self._free = most

    async def __aenter__(self) -> None:
        if not self._free:
            raise Overloaded("too many calls without a key wait for their messages")
        self._free -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free += 1
