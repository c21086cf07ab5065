"""A client for the few calls of MLflow's REST API that record a run: https://mlflow.org/docs/latest/rest-api.html.

MLflow's own package would bring some thirty others into every trainer image. urllib3 is in them already: the artifact
store's client needs it.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import certifi
import urllib3

_TIMEOUT = urllib3.Timeout(connect=2, read=5)
_MAX_BYTES = 1 << 20
MAX_METRICS = 1000
"""The most metrics of one request that servers accept."""


class MlflowError(Exception):
    """A call failed: the message says how, without the server's words, which may repeat what was sent."""

    def __init__(self, problem: str, code: str = "") -> None:
        super().__init__(problem)
        self.code = code
        """MLflow's code of the error, such as RESOURCE_DOES_NOT_EXIST."""


@dataclass(frozen=True)
class Metric:
    """A value at a step; `time` is in milliseconds since 1970."""

    key: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class StoredRun:
    """A run as the server has it."""

    id: str
    params: frozenset[str]
    """The names of its parameters, which cannot be changed."""


class Mlflow:
    """A tracking server. Credentials come from MLflow's own variables, which the launcher's template sets."""

    def __init__(self, uri: str, environment: Mapping[str, str] = os.environ) -> None:
        self._uri = uri.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | _authorize(environment)
        certificates = environment.get("SSL_CERT_FILE") or certifi.where()
        self._http = urllib3.PoolManager(
            timeout=_TIMEOUT, retries=False, cert_reqs="CERT_REQUIRED", ca_certs=certificates
        )

    def find_experiment(self, name: str) -> str:
        """Return the ID of an experiment, which is created if it does not exist."""
        try:
            return self._find_experiment(name)
        except MlflowError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
        try:
            with _reading():
                return str(self._call("POST", "experiments/create", {"name": name})["experiment_id"])
        except MlflowError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._find_experiment(name)  # another job was faster

    def find_run(self, experiment: str, tag: str, value: str) -> StoredRun | None:
        """Return the run of an experiment with this tag; it was begun by an earlier attempt."""
        query = {"experiment_ids": [experiment], "filter": f"tags.`{tag}` = '{value}'", "max_results": 1}
        with _reading():
            found = self._call("POST", "runs/search", query).get("runs", [])
            return _read_run(found[0]) if found else None

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str], start: int) -> StoredRun:
        """Create a run that began at `start`, in milliseconds since 1970."""
        query = {"experiment_id": experiment, "run_name": name, "start_time": start, "tags": _pairs(tags)}
        with _reading():
            return _read_run(self._call("POST", "runs/create", query)["run"])

    def log(
        self,
        run: str,
        metrics: Iterable[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add metrics, at most MAX_METRICS, parameters and tags to a run."""
        values = [{"key": m.key, "value": m.value, "timestamp": m.time, "step": m.step} for m in metrics]
        body = {"run_id": run, "metrics": values, "params": _pairs(params or {}), "tags": _pairs(tags or {})}
        self._call("POST", "runs/log-batch", body)

    def set_status(self, run: str, status: str, end: int | None = None) -> None:
        """Set a run's status: RUNNING, FINISHED, FAILED or KILLED, and when it ended."""
        self._call("POST", "runs/update", {"run_id": run, "status": status} | ({"end_time": end} if end else {}))

    def _find_experiment(self, name: str) -> str:
        with _reading():
            experiment = self._call("GET", "experiments/get-by-name", fields={"experiment_name": name})["experiment"]
            if experiment.get("lifecycle_stage") == "deleted":
                raise MlflowError("the experiment is deleted: restore it, or name another one")
            return str(experiment["experiment_id"])

    def _call(
        self, method: str, path: str, body: object = None, fields: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            response = self._http.request(
                method,
                f"{self._uri}/api/2.0/mlflow/{path}",
                body=None if body is None else json.dumps(body).encode(),
                fields=None if fields is None else dict(fields),
                headers=self._headers,
                redirect=False,
                preload_content=False,
            )
            try:
                content = response.read(_MAX_BYTES, decode_content=False)
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise MlflowError(f"the server does not answer ({type(error).__name__})") from None
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if response.status != 200 or not isinstance(document, dict):
            code = document.get("error_code") if isinstance(document, dict) else None
            code = code if isinstance(code, str) and code.replace("_", "").isalpha() else ""
            raise MlflowError(f"{path}: the server returned {response.status} {code[:60]}".rstrip(), code)
        return document


def _authorize(environment: Mapping[str, str]) -> dict[str, str]:
    if token := environment.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user, password = environment.get("MLFLOW_TRACKING_USERNAME"), environment.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        # in UTF-8, as MLflow's own client: urllib3's make_headers has no other characters than Latin-1's
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode(errors='surrogateescape')).decode()}"}
    return {}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _read_run(run: Any) -> StoredRun:
    params = run.get("data", {}).get("params", [])
    return StoredRun(str(run["info"]["run_id"]), frozenset(str(param["key"]) for param in params))


@contextmanager
def _reading() -> Iterator[None]:
    """Raise MlflowError for an answer that has another form than MLflow's."""
    try:
        yield
    except (KeyError, TypeError, AttributeError):
        raise MlflowError("the server's answer is not one of MLflow's") from None
