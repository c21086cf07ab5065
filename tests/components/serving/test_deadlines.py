"""A request that ends at its client's deadline says that the server is slow; one that is given up says nothing."""

import asyncio
from typing import Any

import pytest
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import Code


class Observed:
    """An observer that keeps the codes."""

    def __init__(self) -> None:
        self.codes: list[Code] = []

    def observe_request(self, protocol: str, code: Code, seconds: float) -> None:
        self.codes.append(code)

    def observe_reply(self, facts: dict[str, Any], head: dict[str, Any]) -> None:
        pass


class Stuck:
    """A model process that never replies."""

    async def call(self, head: dict[str, Any], body: bytes, seconds: float | None) -> Any:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("seconds", "codes"), [(0.05, [Code.TOO_LATE]), (60.0, []), (None, [])], ids=["its deadline", "earlier", "none"]
)
def test_a_request_that_is_ended_is_counted_at_its_deadline(seconds: float | None, codes: list[Code]) -> None:
    async def run() -> tuple[list[Code], int]:
        observed = Observed()
        plane = DataPlane("m", "1", 4, observed)
        plane.processes = Stuck()  # type: ignore[assignment]
        request = asyncio.create_task(plane.infer("grpc", {}, b"", seconds))
        await asyncio.sleep(0.1)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        return observed.codes, plane.in_flight

    assert asyncio.run(run()) == (codes, 0)
