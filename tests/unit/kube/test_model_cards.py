"""The gate of model cards with real artifacts: the last evaluation of a model must have been a success."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fairlead.core.model_deployment.faults import find_fault
from fairlead.core.model_deployment.model_cards import check_model_cards
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.settings import Settings
from fairlead.kube.gates import ask_artifacts
from fairlead_artifacts import Manifest, Parent, SigningKey, model_card_uri, publish, sign
from fairlead_artifacts.signing import make_keys
from fairlead_contracts.model_card import KIND, ModelCard

from tests.support.resources import make_deployment

CARD = ModelCard(success=True, metric="accuracy", value=0.96, minimum=0.9, examples=100, split="eval")
BAD = CARD.model_copy(update={"success": False, "value": 0.5, "failed": ("accuracy 0.5000, expected at least 0.9",)})


class Store:
    """A store with a model and its card."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.model = folder, f"file://{folder}/store/model"
        self.manifest = self.publish(self.model, "onnx-model")
        self.card = model_card_uri(self.model, self.manifest.digest)

    def publish(self, uri: str, kind: str, **more: Any) -> Manifest:
        source = self.folder / f"source-{kind}"
        source.mkdir(exist_ok=True)
        (source / "file.txt").write_text(kind)
        return publish(source, uri, kind=kind, producer="test/1", replace=True, **more)

    def evaluate(self, card: ModelCard = CARD, **more: Any) -> Manifest:
        parents = [Parent("model", self.manifest.digest, self.model)]
        fixed = {"kind": KIND, "parents": parents, "parameters": card.to_json()}
        return self.publish(self.card, **fixed | more)

    def deployment(self, gate: Any, status: Any = None, *predictors: Any, **changes: Any) -> Any:
        main = {"name": "main", "graph": {"name": "classifier", "modelUri": self.model}}
        given = {"spec__predictors": [main, *predictors], "spec__requireModelCard": gate}
        return make_deployment(status, **given | changes)

    def check(self, gate: Any = None, *predictors: Any, **changes: Any) -> str:
        deployment = self.deployment({} if gate is None else gate, None, *predictors, **changes)
        finding = check_model_cards(deployment, ask_artifacts(deployment, lambda _: True).read())  # type: ignore[arg-type]
        return f"{finding.reason}: {finding.message}" if finding else "open"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_last_evaluation_decides(store: Store) -> None:
    missing = (
        f"ModelCardMissing: Node classifier: No model card for {store.manifest.digest}; expected it at {store.card}."
    )
    assert store.check() == missing
    store.evaluate(BAD)
    assert store.check() == (
        f"ModelNotGoodEnough: Node classifier: {store.card}: accuracy 0.5000, expected at least 0.9."
    )
    store.evaluate()
    assert store.check() == "open"


@pytest.mark.parametrize(
    ("gate", "answer"),
    [
        ({"metric": "accuracy"}, "open"),
        ({"metric": "accuracy", "minimum": 0.96}, "open"),
        ({"metric": "accuracy", "minimum": 0.97}, "accuracy 0.96 on 100 examples, expected at least 0.97"),
        ({"metric": "f1_macro"}, "OtherMetricMeasured: Node classifier: "),
    ],
)
def test_the_deployment_may_ask_for_more_than_the_evaluation_did(store: Store, gate: Any, answer: str) -> None:
    store.evaluate()
    assert answer in store.check(gate)


def test_a_card_of_another_model_or_of_another_shape_closes_it(store: Store) -> None:
    other = Parent("model", "sha256:" + "0" * 64, store.model)
    store.evaluate(parents=[other])
    assert "the card's parents do not include the model's sha256:" in store.check()
    store.evaluate(kind="report")
    assert f"got an artifact of kind report, expected {KIND}" in store.check()
    store.evaluate(parameters={"success": True})
    assert store.check().startswith("InvalidModelCard: Node classifier: ")


def test_keys_make_the_store_no_authority(store: Store, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "keys")
    gate = {"publicKeys": [public.read_text()]}
    manifest = store.evaluate()
    assert store.check(gate).startswith("ModelCardNotSigned: Node classifier: ")
    sign(store.card, manifest.digest, SigningKey.read(private))
    assert store.check(gate) == "open"


def test_shadows_and_transformers_need_no_card(store: Store) -> None:
    shadow = {"name": "next", "shadow": {"percent": 10}, "graph": {"name": "a", "modelUri": store.model}}
    scaler = {"name": "scaler", "type": "TRANSFORMER", "modelUri": store.model}
    assert store.check(None, shadow).startswith("ModelCardMissing: Node main/classifier: ")
    assert store.check(spec__predictors=[{"name": "main", "graph": scaler}, shadow]) == "open"


def test_with_a_rollout_only_the_first_revision_needs_a_card_to_be_served(store: Store) -> None:
    analysis = {"intervalSeconds": 5, "maxErrorRate": 0.1, "minRequests": 100, "failureLimit": 0}
    rollout = {"steps": [{"traffic": 50, "seconds": 1}], "analysis": analysis}

    def find(**status: Any) -> Any:
        deployment = store.deployment({}, status, spec__rollout=rollout)
        return find_fault(deployment, ask_artifacts(deployment, lambda _: True).read(), Settings())  # type: ignore[arg-type]

    assert find().finding.reason == "ModelCardMissing"
    assert find(stableRevision="abc") is None


@pytest.mark.parametrize("rollout", [False, True])
def test_an_outage_of_the_store_opens_no_gate(store: Store, rollout: bool) -> None:
    analysis = {"intervalSeconds": 5, "maxErrorRate": 0.1, "minRequests": 100, "failureLimit": 0}
    more = {"spec__rollout": {"steps": [{"traffic": 50, "seconds": 1}], "analysis": analysis}} if rollout else {}
    deployment = store.deployment({}, **more)
    read = ask_artifacts(deployment, lambda _: True).read()
    seen = plan(deployment, ObservedDeployment(artifacts=read))  # type: ignore[arg-type]
    assert "ModelCardMissing" in {each.reason for each in seen.status.conditions}
    assert seen.status.provenance == (), "it is not what serves, and nothing has let it pass"
    away = ask_artifacts(deployment, lambda _: True).failed("did not answer")
    later = deployment.model_copy(update={"status": seen.status})
    after = plan(later, ObservedDeployment(artifacts=away))
    assert after.apply == ()
    assert "StoreUnavailable" in {each.reason for each in after.status.conditions}


def plan(deployment: Any, observed: ObservedDeployment) -> Any:
    return plan_model_deployment(deployment, observed, Settings(), datetime(2026, 3, 1, tzinfo=UTC), "00")


def test_without_the_setting_no_card_is_read(store: Store) -> None:
    deployment = store.deployment(None)
    read = ask_artifacts(deployment, lambda _: True).read()
    assert check_model_cards(deployment, read) is None  # type: ignore[arg-type]
    assert read.cards == {}  # type: ignore[union-attr]
