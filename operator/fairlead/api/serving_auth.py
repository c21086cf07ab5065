"""Who may ask a predictor's graph servers."""

from typing import Any

from pydantic import Field

from fairlead.api.base import ApiModel, Rule

SECRET_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
SECRET_KEY = r"^[-._A-Za-z0-9]+$"


class ApiKeySecret(ApiModel):
    """A Secret of the deployment's namespace with API keys, one a line. The pods mount it; the operator does not read
    it. Its keys rotate without a restart: add a line, move the clients, remove the other line."""

    name: str = Field(max_length=253, pattern=SECRET_NAME)
    """The name of the Secret. Pods wait for it if it does not exist."""
    key: str | None = Field(None, max_length=253, pattern=SECRET_KEY)
    """The key of the Secret's data that has the API keys; all of its data has if omitted."""


class ServerAuth(ApiModel):
    """What requests need. Health and metrics stay open."""

    api_key_secret: ApiKeySecret
    """The API keys of which requests need one, as `Authorization: Bearer <key>` or `X-API-Key: <key>`."""


_HAS_AUTH = "has(p.server) && has(p.server.auth)"


def _has_auth(predictor: Any) -> bool:
    return predictor.server is not None and predictor.server.auth is not None


AUTH_RULES = (
    Rule(
        f"self.engine != 'Seldon' || !self.predictors.exists(p, {_HAS_AUTH})",
        "predictors: expected no server.auth with engine Seldon, whose executor asks for no keys",
        lambda spec: spec.engine != "Seldon" or not any(map(_has_auth, spec.predictors)),
        field=".predictors",
    ),
    Rule(
        f"self.predictors.all(p, {_HAS_AUTH}) || !self.predictors.exists(p, {_HAS_AUTH})",
        "predictors: expected server.auth in all of them or in none, because each has a Service of its own",
        lambda spec: len(set(map(_has_auth, spec.predictors))) < 2,
        field=".predictors",
    ),
)
