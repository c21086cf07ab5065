"""The code that routes need, which is loaded when there are some: a server without them saves 20 MiB."""

import asyncio
from importlib import import_module

from fairlead_contracts.traffic import TrafficDocument


async def load_code(document: TrafficDocument, grpc: bool) -> None:
    """Import in a thread what the document's routes need: imports take a part of a second."""
    modules = ["http_sender"] if document.routes else []
    if any(route.mirror_percent for route in document.routes):
        modules += ["compare", "grpc_answers"] if grpc else ["compare"]
    for module in modules:
        await asyncio.to_thread(import_module, f"{__package__}.{module}")
