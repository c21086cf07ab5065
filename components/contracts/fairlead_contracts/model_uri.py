"""How a modelUri names a file in an artifact: an artifact's own URI, or that of one .onnx file of it."""

from dataclasses import dataclass

MODEL_FILE = "model.onnx"
"""The model of an artifact that is named as a whole."""


@dataclass(frozen=True)
class ModelPlace:
    """An artifact's URI, and the path of a file below it."""

    artifact: str
    path: str


def list_places(model_uri: str) -> tuple[ModelPlace, ...]:
    """Return where the model may be, the likeliest first: a file may lie in its artifact or in one folder of it."""
    uri = model_uri.rstrip("/")
    if not uri.endswith(".onnx"):
        return (ModelPlace(uri, MODEL_FILE),)
    above, _, name = uri.rpartition("/")
    higher, _, folder = above.rpartition("/")
    return (ModelPlace(above, name), ModelPlace(higher, f"{folder}/{name}"))
