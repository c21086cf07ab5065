"""V2 inference requests to a ModelDeployment, sent to its Service directly or through the API server."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import urllib3

from fairlead.client.errors import Denied, Rejected, from_response, translated
from fairlead.client.objects import Object

API_KEY = "FAIRLEAD_API_KEY"
"""The variable with the key for deployments that ask for one. It is no argument of commands, which all users see."""
_TIMEOUT_SECONDS = 30.0
_PROBLEM = "API key: "
"""What the error of a graph server begins with that misses a key; the API server's own errors do not."""
Headers = Mapping[str, str]
Send = Callable[[str, str, Object | None], Object]
"""Sends a request (method, path, body) to the deployment and returns the JSON response."""


def predict(name: str, inputs: Object | Sequence[Any], send: Send) -> Object:
    """Send a V2 request, or rows of values for a model with one input; return the V2 response.

    Raises Rejected with the server's message if the request does not match the model, and Denied without an API key
    that the deployment knows, if it asks for one.
    """
    path = f"/v2/models/{name}"
    try:
        if not isinstance(inputs, dict):
            inputs = build_request(send("GET", path, None)["inputs"], inputs)
        return send("POST", f"{path}/infer", inputs)
    except Denied as error:
        if _PROBLEM in str(error):
            raise Denied(f"ModelDeployment {name}: expected an API key that it knows in {API_KEY}") from None
        raise


def build_headers(key: str | None = None) -> Headers:
    """Return the header with an API key, by default $FAIRLEAD_API_KEY; none if there is none, or raises Rejected.

    It is X-API-Key, because the API server keeps Authorization to itself. Errors never contain the key.
    """
    key = (os.environ.get(API_KEY, "") if key is None else key).strip()
    if not all("!" <= character <= "~" for character in key):
        raise Rejected(f"{API_KEY}: got other characters, expected printable ASCII without spaces")
    return {"X-API-Key": key} if key else {}


def build_request(inputs: Sequence[Object], values: Sequence[Any]) -> Object:
    """Return a V2 request with rows of values for a model with one input; raises Rejected if it has several."""
    if len(inputs) != 1:
        names = ", ".join(str(tensor["name"]) for tensor in inputs)
        raise Rejected(f"got rows of values, expected a V2 request, because the model has several inputs: {names}")
    tensor = inputs[0]
    return {
        "inputs": [{"name": tensor["name"], "datatype": tensor["datatype"], "shape": _shape(values), "data": values}]
    }


def send_directly(address: str, headers: Headers) -> Send:
    """Return a function that sends requests with more headers to a server at `host:port`."""

    def send(method: str, path: str, body: Object | None) -> Object:
        with translated(path):
            response = urllib3.request(
                method,
                f"http://{address}{path}",
                json=body,
                headers=dict(headers),
                timeout=_TIMEOUT_SECONDS,
                retries=False,
            )
        if response.status >= 400:
            raise from_response(path, response.status, response.data)
        return dict(response.json())

    return send


def send_by_proxy(
    request: Callable[[str, str, Object | None, Headers], bytes],
    namespace: str,
    service: str,
    port: int,
    headers: Headers,
) -> Send:
    """Return a function that sends requests with more headers through the API server's proxy."""

    def send(method: str, path: str, body: Object | None) -> Object:
        proxied = f"/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}"
        with translated(path):
            return dict(json.loads(request(method, proxied, body, headers)))

    return send


def _shape(values: Any) -> list[int]:
    if not isinstance(values, list | tuple):
        return []
    return [len(values), *(_shape(values[0]) if values else [])]
