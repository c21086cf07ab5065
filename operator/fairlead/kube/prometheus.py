"""What Prometheus says to the queries of rollouts, asked beside the queue's workers.

Reference: Prometheus' HTTP API, "Instant queries".
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

import aiohttp
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from yarl import URL

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.model_deployment.queries import BuiltQueries, QueryAnswer, build_queries
from fairlead.kube.inquiries import Inquiries, Question
from fairlead.kube.kinds import Key
from fairlead.kube.reports import read_bounded

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_READ_SECONDS = 30.0
"""How long all queries of a deployment may take."""
_MAX_BYTES = 64 << 10
_MAX_PROBLEM = 200
_MAX_CONCURRENT = 8
"""Queries of all deployments that are asked at a time."""
_LEAST_SECONDS = 1.0
"""How often a deployment's queries are asked at most."""

_Sample = tuple[float, str]
"""A time, and a value as text, because JSON has no infinite numbers."""


class _Series(BaseModel):
    value: _Sample


class _Vector(BaseModel):
    kind: Literal["vector"] = Field(alias="resultType")
    result: list[_Series]


class _Scalar(BaseModel):
    kind: Literal["scalar"] = Field(alias="resultType")
    result: _Sample


class _Success(BaseModel):
    status: Literal["success"]
    warnings: list[str] = []
    data: Annotated[_Vector | _Scalar, Field(discriminator="kind")]


class _Failure(BaseModel):
    status: Literal["error"]
    error: str


_ANSWER: TypeAdapter[_Success | _Failure] = TypeAdapter(Annotated[_Success | _Failure, Field(discriminator="status")])


class Prometheus:
    """Asks the queries of rollouts. `answered` is called when those of a deployment are answered."""

    def __init__(self, http: aiohttp.ClientSession, url: str, answered: Callable[[Key], None]) -> None:
        """Ask at a URL, in which {namespace} is the deployment's; an empty one is reported as the problem."""
        self._http, self._url = http, url
        self._answers = Inquiries(answered, _READ_SECONDS, source="Prometheus")
        self._places = asyncio.Semaphore(_MAX_CONCURRENT)

    def observe(self, key: Key, deployment: ModelDeployment) -> tuple[QueryAnswer, ...]:
        """Return the last answers for the candidate in its current window, and ask again if they are old."""
        queries, policy = build_queries(deployment), deployment.spec.rollout
        if not queries.texts or policy is None:
            self.forget(key)
            return ()
        if not self._url:
            return _fail(queries, "the operator has no Prometheus (setting prometheusUrl)")

        async def ask() -> tuple[QueryAnswer, ...]:
            return tuple([await self._ask(name, text, key.namespace) for name, text in queries.texts])

        question = Question((queries, self._url), ask, lambda problem: _fail(queries, problem))
        seconds = max(_LEAST_SECONDS, policy.analysis.interval_seconds / 2)
        return self._answers.latest(key, question, seconds, outdated=True) or ()

    def forget(self, key: Key) -> None:
        """Drop what is known about a deployment."""
        self._answers.forget(key)

    async def _ask(self, name: str, text: str, namespace: str) -> QueryAnswer:
        base = URL(self._url.replace("{namespace}", namespace))
        words = {"query": text, "timeout": f"{_TIMEOUT.total:g}s"}
        url = (base / "api/v1/query").with_query(base.query).update_query(words)
        try:
            async with self._places, self._http.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
                body = await read_bounded(response, _MAX_BYTES)
                return _parse(name, response.status, body)
        except ValueError as error:
            return QueryAnswer(name, problem=f"Prometheus: {error}")
        except (aiohttp.ClientError, TimeoutError) as error:
            # no more than that: the message says where the operator's network leads
            return QueryAnswer(name, problem=f"Prometheus did not answer ({type(error).__name__})")


def _parse(name: str, status: int, body: bytes) -> QueryAnswer:
    """Return the value of an instant query's only sample, or why there is none."""
    try:
        answer = _ANSWER.validate_json(body)
    except ValidationError:
        return QueryAnswer(name, problem=f"got status {status} and no answer of Prometheus' API to an instant query")
    if isinstance(answer, _Failure):
        return QueryAnswer(name, problem=f"Prometheus: {_clean(answer.error)}")
    if status != 200:
        return QueryAnswer(name, problem=f"got status {status}, expected 200")
    if answer.warnings:
        return QueryAnswer(
            name, problem=f"Prometheus warns that the answer may be partial: {_clean(answer.warnings[0])}"
        )
    data = answer.data
    samples = [data.result] if isinstance(data, _Scalar) else [series.value for series in data.result]
    if len(samples) != 1:
        return QueryAnswer(name, problem=f"it returned {len(samples)} samples, expected one")
    _, value = samples[0]
    try:
        return QueryAnswer(name, float(value))
    except ValueError:
        return QueryAnswer(name, problem=f"it returned {value[:32]!r}, expected a number")


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MAX_PROBLEM])


def _fail(queries: BuiltQueries, problem: str) -> tuple[QueryAnswer, ...]:
    return tuple(QueryAnswer(name, problem=problem) for name, _ in queries.texts)
