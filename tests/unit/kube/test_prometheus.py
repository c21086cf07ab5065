"""Queries of rollouts: what is asked of Prometheus, when, and what counts as an answer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.model_deployment.queries import QueryAnswer
from fairlead.core.settings import Settings
from fairlead.kube.kinds import Key
from fairlead.kube.prometheus import Prometheus
from pydantic import ValidationError

from tests.support.resources import make_deployment
from tests.support.rollouts import POLICY
from tests.support.waiting import wait_until

DIGITS = Key("ModelDeployment", "default", "digits")
QUERY = {"name": "memory", "query": 'max(m{pod=~"$(candidate)-.*"}) + n{a="$(stable)"}', "max": 1}


def deployment(weight: int = 10, window: int = 2, **query: Any) -> ModelDeployment:
    rollout = {"phase": "Measuring", "weight": weight, "window": window, "address": "10.1.1.1"}
    known = {"stableRevision": "aaaaaaaa", "candidateRevision": "bbbbbbbb", "rollout": rollout}
    analysis = POLICY["analysis"] | {"queries": [QUERY | query]}
    return make_deployment(known, spec__rollout=POLICY | {"analysis": analysis})


def vector(*values: str) -> dict[str, Any]:
    result = [{"metric": {"pod": str(number)}, "value": [1e9, value]} for number, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


class Server:
    """A Prometheus that gives one answer to each query."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.body, self.status = body if isinstance(body, bytes) else json.dumps(body).encode(), status

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query)))
        return web.Response(body=self.body, status=self.status)


@asynccontextmanager
async def asking(server: Server, place: str = "") -> AsyncIterator[Prometheus]:
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    async with TestServer(app) as running, aiohttp.ClientSession() as http:
        yield Prometheus(http, str(running.make_url("/")).rstrip("/") + place, lambda _: None)


async def ask(server: Server, place: str = "", **query: Any) -> QueryAnswer:
    """Return the answer to the only query of a deployment."""
    async with asking(server, place) as prometheus:
        await wait_until(lambda: bool(prometheus.observe(DIGITS, deployment(**query))), 30)
        (found,) = prometheus.observe(DIGITS, deployment(**query))
        return found


async def test_the_candidates_query_is_asked_and_its_sample_returned() -> None:
    server = Server(vector("0.25"))
    assert await ask(server) == QueryAnswer("memory", 0.25)
    expected = 'max(m{pod=~"digits-bbbbbbbb-.*"}) + n{a="digits-aaaaaaaa"}'
    assert server.asked == [("/api/v1/query", {"query": expected, "timeout": "10s"})]


async def test_the_url_may_have_a_path_and_name_the_namespace() -> None:
    server = Server(vector("1"))
    await ask(server, "/proxy/?namespace={namespace}", query="up")
    assert server.asked == [("/proxy/api/v1/query", {"namespace": "default", "query": "up", "timeout": "10s"})]


@pytest.mark.parametrize("value", ["+Inf", "1e3", "-0.5"])
async def test_prometheus_numbers_are_read(value: str) -> None:
    assert (await ask(Server(vector(value)))).value == float(value)


async def test_a_scalar_is_a_value() -> None:
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1e9, "7"]}}
    assert await ask(Server(scalar)) == QueryAnswer("memory", 7.0)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (vector(), 200, "it returned 0 samples, expected one"),
        (vector("1", "2"), 200, "it returned 2 samples, expected one"),
        (vector("many"), 200, "it returned 'many', expected a number"),
        ({"status": "error", "errorType": "bad_data", "error": "parse\nerror"}, 400, "Prometheus: parse error"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, 200, "no answer of Prometheus' API"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"value": 1}]}}, 200, "no answer of"),
        (b"<html>", 502, "got status 502"),
        (b"[" * 60_000, 200, "no answer of"),
        (b" " * 70_000, 200, "got more than 65536 bytes"),
        (b"", 302, "got status 302"),
        (vector("0"), 500, "got status 500, expected 200"),
        (vector("0") | {"warnings": ["a store\nis down"]}, 200, "may be partial: a store is down"),
    ],
)
async def test_what_is_no_single_number_is_a_problem(body: Any, status: int, words: str) -> None:
    found = await ask(Server(body, status))
    assert (found.value, words in found.problem) == (None, True), found


async def test_a_prometheus_that_is_gone_is_a_problem() -> None:
    async with aiohttp.ClientSession() as http:
        prometheus = Prometheus(http, "http://127.0.0.1:1", lambda _: None)
        await wait_until(lambda: bool(prometheus.observe(DIGITS, deployment())), 30)
        (found,) = prometheus.observe(DIGITS, deployment())
        assert found.problem == "Prometheus did not answer (ClientConnectorError)"


async def test_without_a_url_the_problem_names_the_setting() -> None:
    async with aiohttp.ClientSession() as http:
        (found,) = Prometheus(http, "", lambda _: None).observe(DIGITS, deployment())
        assert "prometheusUrl" in found.problem


async def test_a_candidate_without_requests_asks_nothing_and_another_window_asks_again() -> None:
    server = Server(vector("1"))
    async with asking(server) as prometheus:
        assert prometheus.observe(DIGITS, deployment(weight=0)) == ()
        await wait_until(lambda: bool(prometheus.observe(DIGITS, deployment())), 30)
        assert prometheus.observe(DIGITS, deployment(window=3)) == ()
        await wait_until(lambda: bool(prometheus.observe(DIGITS, deployment(window=3))), 30)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "url", ["prometheus:9090", "http://prometheus.{namespace}.svc:9090", "https://{namespace}?a=b"]
)
def test_a_url_that_a_tenant_could_own_is_rejected(url: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Settings(prometheus_url=url)
    assert Settings(prometheus_url="http://proxy/?namespace={namespace}").prometheus_url
