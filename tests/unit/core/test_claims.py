"""Which of several deployments has a host."""

import pytest
from fairlead.core.model_deployment.claims import Claim, find_taken, read_claim

from tests.support.resources import MODEL_DEPLOYMENT, change, make_deployment

HOST = "digits.example.com"
CREATED = "2026-03-01T00:00:00Z"


def other(created: str, *hosts: str, namespace: str = "other") -> Claim:
    return Claim(namespace, "letters", created, hosts or (HOST,))


@pytest.mark.parametrize(
    ("held", "claim", "taken"),
    [
        pytest.param((), other("2026-02-01T00:00:00Z"), True, id="an older one has it"),
        pytest.param((), other("2026-04-01T00:00:00Z"), True, id="a younger one that was faster has it"),
        pytest.param((), other(CREATED, "letters.example.com"), False, id="another host"),
        pytest.param((), other(CREATED, "*.example.com"), False, id="a wildcard above it is another host"),
        pytest.param((HOST,), other("2026-02-01T00:00:00Z"), True, id="both have it, and the older one keeps it"),
        pytest.param((HOST,), other("2026-04-01T00:00:00Z"), False, id="both have it, and the younger one yields"),
        pytest.param((HOST,), other(CREATED), False, id="of two of one age the first by name keeps it"),
        pytest.param((HOST,), other(CREATED, namespace="a"), True, id="of two of one age the second by name yields"),
    ],
)
def test_of_two_deployments_one_has_the_host(held: tuple[str, ...], claim: Claim, taken: bool) -> None:
    deployment = make_deployment({"exposure": {"hosts": held}}, metadata__creationTimestamp=CREATED)
    assert find_taken(deployment, [HOST], [claim]) == ({HOST: claim} if taken else {})


def test_a_claim_is_what_the_status_says() -> None:
    deployment = change(MODEL_DEPLOYMENT, metadata__creationTimestamp=CREATED)
    assert read_claim(deployment) is None
    assert read_claim(deployment | {"status": {"exposure": {"hosts": []}}}) is None
    found = read_claim(deployment | {"status": {"exposure": {"hosts": [HOST]}}})
    assert found == Claim("default", "digits", CREATED, (HOST,))
