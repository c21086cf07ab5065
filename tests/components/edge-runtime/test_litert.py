"""LiteRT's engine with a model that is written here, field by field: no builder is needed."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from fairlead_edge.targets import find_target
from fairlead_edge.targets.base import CannotLoad, Ending, RunEnded, RunFailed

SIZE, CLASSES = 6, 3
WEIGHTS = np.random.default_rng(5).normal(size=(CLASSES, SIZE)).astype(np.float32)
LOAD = find_target("litert").load


def make_tensor(name: str, shape: tuple[int, ...], buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), schema.TensorType.FLOAT32, buffer
    return tensor


def name_tensors(names: dict[str, int]) -> list[schema.TensorMapT]:
    found = []
    for name, place in names.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, place
        found.append(entry)
    return found


def make_model(signature: bool = True) -> bytes:
    """Return a model of one layer: x @ WEIGHTS.T."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        make_tensor("x", (1, SIZE), 0), make_tensor("w", (CLASSES, SIZE), 1), make_tensor("y", (1, CLASSES), 0)
    ]  # fmt: skip
    graph.inputs, graph.outputs, graph.operators, graph.name = [0], [2], [operator], "main"
    weights = schema.BufferT()
    weights.data = np.frombuffer(WEIGHTS.tobytes(), np.uint8)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), weights]
    if signature:
        entry = schema.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = "serving_default", 0
        entry.inputs, entry.outputs = name_tensors({"args_0": 0}), name_tensors({"output_0": 2})
        model.signatureDefs = [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_model_answers_by_the_names_of_its_signature() -> None:
    session = LOAD({"model.tflite": make_model()}, 1)
    (entry,), (output,) = session.inputs, session.outputs
    assert (entry.name, entry.datatype, entry.shape) == ("args_0", "FP32", [1, SIZE])
    assert (output.name, output.shape) == ("output_0", [1, CLASSES])
    for seed in range(3):  # an answer is not overwritten by the next
        x = np.random.default_rng(seed).normal(size=(1, SIZE)).astype(np.float32)
        (found,) = session.run({"args_0": x})
        (other,) = session.run({"args_0": x + 1})
        assert np.abs(found - x @ WEIGHTS.T).max() < 1e-5
        assert not np.allclose(found, other)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no model", "cannot load the model"), (make_model(signature=False), "the model has no signature")],
    ids=["no model", "no signature"],
)
def test_what_cannot_be_loaded_is_rejected(content: bytes, reason: str) -> None:
    with pytest.raises(CannotLoad, match=rf"LiteRT .*{reason}"):
        LOAD({"model.tflite": content}, 1)


@pytest.mark.parametrize(
    "values",
    [{"other": np.zeros((1, SIZE), np.float32)}, {"args_0": np.zeros((1, SIZE), np.int64)}],
    ids=["another name", "another type"],
)
def test_values_that_do_not_fit_are_rejected(values: dict[str, np.ndarray]) -> None:
    with pytest.raises(RunFailed):
        LOAD({"model.tflite": make_model()}, 1).run(values)


def test_a_run_that_is_over_does_not_begin() -> None:
    ending = Ending()
    ending.end()
    with pytest.raises(RunEnded):
        LOAD({"model.tflite": make_model()}, 1).run({"args_0": np.zeros((1, SIZE), np.float32)}, ending)
