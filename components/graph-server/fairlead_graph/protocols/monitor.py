"""What the server asks of the model process for itself: the counts of its models."""

from collections.abc import Mapping
from typing import Any

from fairlead_serving.child import Reply

from ..execute import Run
from ..service import Service


async def read(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Return the facts of the monitors, and a summary for metrics."""
    assert service.monitors is not None, "asked only if graph.json has a monitor"
    summary, content = await service.monitors.read()
    return {"monitor": summary}, content
