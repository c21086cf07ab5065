"""What must be shown of models before they are served."""

from typing import Annotated, ClassVar

from fairlead_contracts.model_card import METRIC
from pydantic import Field

from fairlead.api.base import DIGEST, ApiModel, Rule
from fairlead.api.signatures import PublicKeys


class ProvenanceGate(ApiModel):
    """What must be known of each model: that it was converted with figures of its parity, from a model that was trained
    on a dataset, and that this dataset has passed its validation. All of it must still exist and be readable."""

    suite: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The digest of the expectations that the datasets must have met; any if unset."""
    public_keys: PublicKeys = Field([])
    """Ed25519 public keys in PEM. If there are some, only validation results that one of them has signed count."""


class ModelCardGate(ApiModel):
    """What the card of each model of a node of type MODEL must say: that its last evaluation was a success."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.minimum) || has(self.metric)",
            "minimum: expected metric beside it",
            lambda gate: gate.minimum is None or gate.metric is not None,
            field=".minimum",
        ),
    )

    metric: str | None = Field(None, max_length=64, pattern=METRIC)
    """The success metric that the evaluation must have used, by scikit-learn's name, such as accuracy; any if unset."""
    minimum: float | None = None
    """The least value of it, whatever the evaluation itself asked for."""
    public_keys: PublicKeys = Field([])
    """Ed25519 public keys in PEM. If there are some, only cards that one of them has signed count."""


class SignatureGate(ApiModel):
    """Who must vouch for the models."""

    public_keys: Annotated[PublicKeys, Field(min_length=1)]
    """Ed25519 public keys in PEM, one of which must have signed each model: the artifact of its modelUri."""
