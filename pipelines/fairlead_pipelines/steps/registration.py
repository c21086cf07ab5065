"""The step `register`: make a version in MLflow's registry of a model that stays where it is.

Its source is the artifact's URI, and a tag has its digest. It needs four calls of MLflow's REST API
(https://mlflow.org/docs/latest/rest-api.html), whose own package would bring thirty others into the image.
"""

import json
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import certifi
import urllib3
from fairlead.client import FairleadError, Object

DIGEST_TAG = "fairlead.digest"
_NAME = re.compile(r"[\w.-][\w. -]{0,199}")
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_MAX_BYTES = 1 << 20


class RegistryError(FairleadError):
    """The registry rejected a call or does not answer; without its words, which may repeat what was sent."""


@dataclass(frozen=True)
class Registration:
    """A model to register."""

    name: str
    """The registered model, of which a version is made."""
    uri: str
    digest: str
    alias: str = ""
    """Set to the version, such as champion; empty for none."""
    tags: Mapping[str, str] = field(default_factory=dict)


def register(tracking_uri: str, registration: Registration) -> Object:
    """Return the name and version of the model; one of the same digest is registered once. Raise RegistryError."""
    if not _NAME.fullmatch(registration.name):
        raise RegistryError(f"--name: got {registration.name!r}, expected letters, digits and any of . _ -")
    registry = _Registry(tracking_uri, os.environ)
    registry.call("POST", "registered-models/create", {"name": registration.name}, ignored="RESOURCE_ALREADY_EXISTS")
    version = _find_version(registry, registration) or _create_version(registry, registration)
    if registration.alias:
        alias = {"name": registration.name, "alias": registration.alias, "version": version}
        registry.call("POST", "registered-models/alias", alias)
    return {"name": registration.name, "version": version}


def _find_version(registry: "_Registry", registration: Registration) -> str:
    """Return the version of an earlier attempt or run; empty if there is none."""
    filter_ = f"name = '{registration.name}' and tags.`{DIGEST_TAG}` = '{registration.digest}'"
    found = registry.call("GET", "model-versions/search", {"filter": filter_}).get("model_versions", [])
    try:
        return next((str(each["version"]) for each in found if each.get("source") == registration.uri), "")
    except (AttributeError, KeyError, TypeError):
        raise RegistryError("model-versions/search: the server's answer is not one of MLflow's") from None


def _create_version(registry: "_Registry", registration: Registration) -> str:
    tags = {**registration.tags, DIGEST_TAG: registration.digest}
    pairs = [{"key": key, "value": value} for key, value in tags.items()]
    body = {"name": registration.name, "source": registration.uri, "tags": pairs}
    try:
        return str(registry.call("POST", "model-versions/create", body)["model_version"]["version"])
    except (KeyError, TypeError):
        raise RegistryError("model-versions/create: the server's answer is not one of MLflow's") from None


class _Registry:
    """A server. Credentials come from MLflow's own variables."""

    def __init__(self, uri: str, environment: Mapping[str, str]) -> None:
        self._uri, self._headers = uri.rstrip("/"), {"Content-Type": "application/json"} | _authorize(environment)
        certificates = environment.get("SSL_CERT_FILE") or certifi.where()
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, cert_reqs="CERT_REQUIRED", ca_certs=certificates)

    def call(self, method: str, path: str, values: Mapping[str, Any], ignored: str = "") -> Object:
        """Return the answer; empty for an error with the code `ignored`."""
        options = {"body": json.dumps(dict(values)).encode()} if method == "POST" else {"fields": dict(values)}
        try:
            response = self._http.request(
                method, f"{self._uri}/api/2.0/mlflow/{path}", headers=self._headers, redirect=False,
                preload_content=False, **options,
            )  # fmt: skip
            content = response.read(_MAX_BYTES)
            response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise RegistryError(f"{path}: the registry does not answer ({type(error).__name__})") from None
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        code = document.get("error_code") if isinstance(document, dict) else None
        if ignored and code == ignored:
            return {}
        if response.status != 200 or not isinstance(document, dict):
            words = code if isinstance(code, str) and code.replace("_", "").isalpha() else ""
            raise RegistryError(f"{path}: the registry returned {response.status} {words[:60]}".rstrip())
        return document


def _authorize(environment: Mapping[str, str]) -> dict[str, str]:
    # a Secret that was made from a file has a line's end
    if token := environment.get("MLFLOW_TRACKING_TOKEN", "").strip():
        return {"Authorization": f"Bearer {token}"}
    user, password = environment.get("MLFLOW_TRACKING_USERNAME"), environment.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode(errors='surrogateescape')).decode()}"}
    return {}
