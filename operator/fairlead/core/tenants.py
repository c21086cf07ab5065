"""What the administrator allows a namespace: what its resources may name, and the routes that they may have."""

from collections.abc import Iterable

from fairlead.api.pod_template import PodSpec
from fairlead.core.conditions import Finding
from fairlead.core.settings import Settings

_ANY = "*"
_DEFAULT_ACCOUNTS = (None, "", "default")


def is_allowed_uri(settings: Settings, namespace: str, uri: str) -> bool:
    """Return whether a namespace may use a URI: it equals one of the namespace's prefixes or lies below it."""
    prefixes = settings.allowed_prefixes
    if not prefixes:
        return True
    if any(segment in (".", "..") for segment in uri.split("/")):
        return False
    return any(
        owner in (_ANY, namespace) and (uri == prefix or uri.startswith(f"{prefix}/")) for owner, prefix in prefixes
    )


def check_uris(settings: Settings, namespace: str, uris: Iterable[tuple[str, str | None]]) -> Finding | None:
    """Find a URI that a namespace may not use, from (field, URI) pairs. The message does not reveal what exists."""
    for field, uri in uris:
        if uri and not is_allowed_uri(settings, namespace, uri):
            expected = f"expected one of the URI prefixes that the administrator allows namespace {namespace}"
            return Finding("URINotAllowed", f"{field}: got {uri}, {expected}.")
    return None


def check_service_accounts(
    settings: Settings, namespace: str, pods: Iterable[tuple[str, PodSpec | None]]
) -> Finding | None:
    """Find a service account that a namespace's pods may not use, from (field, pod) pairs."""
    for field, pod in pods:
        if pod is None or pod.service_account_name in _DEFAULT_ACCOUNTS:
            continue
        allowed = {(_ANY, pod.service_account_name), (namespace, pod.service_account_name)}
        if not allowed & set(settings.allowed_service_accounts):
            expected = f"expected default, or one that the administrator allows namespace {namespace}"
            message = f"{field}.serviceAccountName: got {pod.service_account_name}, {expected}."
            return Finding("ServiceAccountNotAllowed", message)
    return None


def is_allowed_host(settings: Settings, namespace: str, host: str) -> bool:
    """Return whether routes of a namespace may have a DNS name: it is one of the namespace's, or lies below one."""
    return any(
        owner in (_ANY, namespace) and _covers(pattern.replace("{namespace}", namespace), host)
        for owner, pattern in settings.allowed_hosts
    )


def _covers(pattern: str, host: str) -> bool:
    """Return whether a pattern is a host's name, or one with `*` for its first labels."""
    if pattern == _ANY:
        return True
    # a host may be a wildcard itself: *.a.example.com lies below *.example.com
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern.removeprefix(_ANY)))
