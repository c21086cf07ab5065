"""Credentials for S3 from the usual chain: variables, the shared file, a web identity or a container, the instance."""

import configparser
import os
import time
from collections.abc import Sequence
from functools import lru_cache

import urllib3
from minio.credentials.credentials import Credentials
from minio.credentials.providers import AWSConfigProvider, EnvAWSProvider, IamAwsProvider, Provider

_PREFIX = "AWS_"
_QUICK = urllib3.Timeout(connect=1, read=5)
"""The instance's metadata service answers at once, where there is one."""


_ANONYMOUS_SECONDS = 60.0
"""How long to remember that there are no credentials: a metadata service may still be starting."""
_anonymous: dict[tuple[tuple[str, str], ...], float] = {}


def find_provider() -> Provider | None:
    """Return the provider of the first credentials that are found; None for anonymous requests.

    Raise ValueError if the web identity that the variables name is not accepted.
    """
    variables = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_PREFIX)))
    if time.monotonic() - _anonymous.get(variables, -_ANONYMOUS_SECONDS) < _ANONYMOUS_SECONDS:
        return None
    try:
        return _find(variables)
    except _NoCredentials:
        _anonymous.clear()
        _anonymous[variables] = time.monotonic()
        return None


class _NoCredentials(Exception):
    """The chain has no credentials."""


class _Chain(Provider):
    """The first of several providers that has credentials, which is asked for each request.

    minio's ChainedProvider asks once for credentials that name no expiry, such as those of a file; but a Secret that is
    mounted as this file is replaced when they are rotated.
    """

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = providers
        self._found: Provider | None = None
        self._last: Credentials | None = None

    def retrieve(self) -> Credentials:
        """Return the current credentials; the last ones while a file is being replaced. Raise ValueError."""
        problem: Exception | None = None
        for provider in (self._found,) if self._found else self._providers:
            try:
                self._last = provider.retrieve()
            except (ValueError, configparser.Error) as error:
                problem = error
                continue
            self._found = provider
            return self._last
        if self._last is None or self._last.is_expired():
            raise ValueError(f"no provider has credentials: {problem}")
        return self._last


@lru_cache(maxsize=8)
def _find(variables: tuple[tuple[str, str], ...]) -> Provider:
    """Find the provider for these variables. A provider keeps its credentials until they expire."""
    environment = dict(variables)
    web_identity = bool(environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"))
    providers: list[Provider] = [EnvAWSProvider(), AWSConfigProvider()]
    if web_identity or environment.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
        # Only the metadata service is asked within short limits; an STS server may be far away.
        timeout = urllib3.Timeout(connect=10, read=30) if web_identity else _QUICK
        client = urllib3.PoolManager(timeout=timeout, retries=urllib3.Retry(total=2 if web_identity else 0))
        endpoint = environment.get("AWS_ENDPOINT_URL_STS") if web_identity else None
        providers.append(IamAwsProvider(custom_endpoint=endpoint, http_client=client))
    chain = _Chain(providers)
    try:
        chain.retrieve()
    except (ValueError, OSError, urllib3.exceptions.HTTPError) as error:
        if web_identity:
            raise ValueError(f"AWS_WEB_IDENTITY_TOKEN_FILE: no credentials: {error}") from None
        raise _NoCredentials from None
    return chain
