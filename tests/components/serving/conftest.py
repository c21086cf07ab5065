"""Servers of tiny applications, stopped after each test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fairlead_serving.limits import Limits
from fairlead_serving.server import Server

from tests.components.serving.tiny_app import ADDRESS, Running, TinyApp, find_port, is_bound, wait_until

Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts a server with some limits; unless they are set, it stops without a drain."""
    started: list[Running] = []

    async def run(**limits: Any) -> Running:
        app = TinyApp()
        server = Server(app, Limits(**{"drain_seconds": 0.0, "grace_seconds": 0.0} | limits))
        port = find_port()
        task = asyncio.create_task(server.serve(ADDRESS, port))
        started.append(Running(server, app, port, task))
        await wait_until(lambda: is_bound(port))
        return started[-1]

    yield run
    for running in started:
        for client in running.clients:
            client.abort()
        running.server.stop()
        await running.task
