"""Resolve a modelUri, which is the URI of an artifact or of one .onnx file in an artifact."""

from dataclasses import dataclass

MODEL_FILE = "model.onnx"
"""The model file if the modelUri is an artifact's URI."""


@dataclass(frozen=True)
class ModelPlace:
    """An artifact's URI, and the path of a file in it."""

    artifact: str
    path: str


def list_places(model_uri: str) -> tuple[ModelPlace, ...]:
    """Return the possible places of the model, most likely first: a file at the artifact's top or one folder below."""
    uri = model_uri.rstrip("/")
    if not uri.endswith(".onnx"):
        return (ModelPlace(uri, MODEL_FILE),)
    above, _, name = uri.rpartition("/")
    higher, _, folder = above.rpartition("/")
    return (ModelPlace(above, name), ModelPlace(higher, f"{folder}/{name}"))
