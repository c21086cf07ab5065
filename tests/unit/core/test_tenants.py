"""What the administrator allows a namespace."""

import re

import pytest
from fairlead.api.pod_template import PodSpec
from fairlead.core.settings import Settings
from fairlead.core.tenants import check_service_accounts, check_uris, is_allowed_host, is_allowed_uri
from fairlead.handlers.settings import read_settings

PREFIXES = Settings(artifact_prefixes="team-a=s3://team-a/, team-a=s3://shared/data, *=s3://public")
HOSTS = Settings(route_hosts="team-a=*.a.example.com, team-a=shop.example.com, *=*.{namespace}.example.net, team-c=*")
ACCOUNTS = Settings(service_accounts="team-a/trainer, */reader")


@pytest.mark.parametrize(
    ("namespace", "uri", "allowed"),
    [
        pytest.param("team-a", "s3://team-a/digits/v1", True, id="below its prefix"),
        pytest.param("team-a", "s3://shared/data", True, id="the prefix itself"),
        pytest.param("team-a", "s3://shared/database", False, id="a name that begins like the prefix"),
        pytest.param("team-a", "s3://team-ab/x", False, id="a bucket that begins like the prefix"),
        pytest.param("team-a", "s3://team-a/../team-b/x", False, id="a way out of the prefix"),
        pytest.param("team-b", "s3://team-a/digits/v1", False, id="another namespace's prefix"),
        pytest.param("team-b", "s3://public/x", True, id="a prefix of all namespaces"),
        pytest.param("team-a", "file:///etc/x", False, id="another scheme"),
    ],
)
def test_a_namespace_uses_its_own_prefixes(namespace: str, uri: str, allowed: bool) -> None:
    assert is_allowed_uri(PREFIXES, namespace, uri) is allowed


def test_without_the_setting_every_uri_is_allowed() -> None:
    assert is_allowed_uri(Settings(), "team-a", "file:///etc/x")


def test_the_message_says_nothing_of_what_is_there() -> None:
    finding = check_uris(PREFIXES, "team-b", [("spec.dataset.uri", "s3://team-a/secret"), ("spec.model.uri", None)])
    assert finding is not None
    assert finding.message == (
        "spec.dataset.uri: got s3://team-a/secret, expected one of the URI prefixes that the administrator allows"
        " namespace team-b."
    )


@pytest.mark.parametrize(
    ("namespace", "host", "allowed"),
    [
        pytest.param("team-a", "digits.a.example.com", True, id="below its name"),
        pytest.param("team-a", "v1.digits.a.example.com", True, id="further below"),
        pytest.param("team-a", "*.a.example.com", True, id="all names below it"),
        pytest.param("team-a", "*.digits.a.example.com", True, id="a wildcard below it"),
        pytest.param("team-a", "a.example.com", False, id="the name itself"),
        pytest.param("team-a", "*.example.com", False, id="a wildcard above it"),
        pytest.param("team-a", "digits.ba.example.com", False, id="a name that ends like it"),
        pytest.param("team-a", "shop.example.com", True, id="a whole name"),
        pytest.param("team-a", "*.shop.example.com", False, id="below a whole name"),
        pytest.param("team-b", "digits.a.example.com", False, id="another namespace's name"),
        pytest.param("team-b", "digits.team-b.example.net", True, id="below its own namespace"),
        pytest.param("team-b", "digits.team-a.example.net", False, id="below another namespace"),
        pytest.param("team-c", "*.com", True, id="any"),
    ],
)
def test_a_namespace_exposes_its_own_hosts(namespace: str, host: str, allowed: bool) -> None:
    assert is_allowed_host(HOSTS, namespace, host) is allowed


def test_without_the_setting_no_host_is_allowed() -> None:
    assert not is_allowed_host(Settings(), "team-a", "digits.example.com")


@pytest.mark.parametrize(
    ("namespace", "account", "allowed"),
    [
        ("team-a", None, True), ("team-a", "default", True), ("team-a", "trainer", True), ("team-b", "trainer", False),
        ("team-b", "reader", True), ("team-a", "admin", False),
    ],
)  # fmt: skip
def test_a_pod_uses_a_service_account_of_the_list(namespace: str, account: str | None, allowed: bool) -> None:
    pod = PodSpec.model_validate({"containers": [{"name": "a"}], "serviceAccountName": account})
    finding = check_service_accounts(ACCOUNTS, namespace, [("spec", pod), ("spec.launcherTemplate.spec", None)])
    assert (finding is None) is allowed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FAIRLEAD_ARTIFACT_PREFIXES", "s3://team-a"),
        ("FAIRLEAD_ARTIFACT_PREFIXES", "team-a=/data"),
        ("FAIRLEAD_SERVICE_ACCOUNTS", "trainer"),
        ("FAIRLEAD_ROUTE_HOSTS", "digits.example.com"),
        ("FAIRLEAD_ROUTE_HOSTS", "team-a="),
        ("FAIRLEAD_ROUTE_HOSTS", "team-a=example.*"),
        ("FAIRLEAD_ROUTE_HOSTS", "team-a=*example.com"),
        ("FAIRLEAD_ROUTE_HOSTS", "team-a={team}.example.com"),
    ],
)
def test_a_malformed_list_is_an_error_at_startup(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=re.escape(f"{variable}: got '{value}', expected str: Value error, expected")):
        read_settings()
