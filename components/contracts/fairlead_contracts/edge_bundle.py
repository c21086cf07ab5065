"""An edge bundle: the files of an artifact of kind edge-bundle, and bundle.json, which describes the model in it."""

import json
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from .base import Contract

KIND = "edge-bundle"
MODEL_FILE, BUNDLE_FILE, PARITY_FILE = "model.onnx", "bundle.json", "parity.json"
SCHEMA: Literal["fairlead.dev/edge-bundle/v1"] = "fairlead.dev/edge-bundle/v1"
Label = Annotated[str, StringConstraints(max_length=256)]


class Preprocessing(Contract):
    """What the runtime does to a value before the model gets it: value * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0


class BundleDescription(Contract):
    """bundle.json: all that the runtime needs to know beside the model."""

    max_bytes: ClassVar[int] = 1 << 20

    schema_: Literal["fairlead.dev/edge-bundle/v1"] = Field(alias="schema")
    """Always written, always required."""
    name: str = Field(min_length=1, max_length=253)
    """The model's name in requests."""
    preprocessing: Preprocessing
    """Preprocessing of each value."""
    labels: tuple[Label, ...] = Field(max_length=10_000)
    """Names of the classes, by the first output's columns; empty: the model is no classifier."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the model file."""

    def to_text(self) -> str:
        """Return the file's content; equal descriptions have equal texts."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True)
