"""Credentials for S3 from the usual chain: variables, the shared file, a web identity or a container, the instance."""

import os
import time
from functools import lru_cache

import urllib3
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider, Provider

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
    chain = ChainedProvider(providers)
    try:
        chain.retrieve()
    except (ValueError, OSError, urllib3.exceptions.HTTPError) as error:
        if web_identity:
            raise ValueError(f"AWS_WEB_IDENTITY_TOKEN_FILE: no credentials: {error}") from None
        raise _NoCredentials from None
    return chain
