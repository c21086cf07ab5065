"""What the campaign against the servers calls a finding: a model that is served with what is not its own."""

from tests.chaos.servers.__main__ import SERVED, check_weights
from tests.chaos.servers.models import build_models


def test_a_model_that_is_served_with_foreign_weights_is_a_finding() -> None:
    names = [name for name, _ in build_models(0, seed=1)]
    found = [name for name in names if check_weights(name, SERVED)]
    assert len(found) == 16
    assert "external data at '/etc/passwd', overlong tag" in found
    assert not any(check_weights(name, "rejected with a reason") for name in names)
    assert check_weights("external mutated 3", SERVED) == ""
