"""scikit-learn's estimators and pipelines: model.skops, and signature.json where inputs have names or data types."""

import json
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any, Self

import numpy as np
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_contracts.tensors import datatype_of
from fairlead_datasets.archives import BROKEN_ARCHIVE, check_archive
from fairlead_datasets.errors import first_line
from fairlead_datasets.outputs import join_outputs
from fairlead_datasets.splits import Split
from fairlead_datasets.torch_programs import read_signature
from numpy.typing import NDArray

from ..errors import ConversionFailed
from ..onnx_files import finish, onnx_type
from .base import Arrays, SourceModel
from .skl2onnx_export import build_onnx
from .trees import TREES, check_trees

_TRUSTED = (
    *TREES,  # with their content checked
    "numpy.dtype",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
)
"""What may be loaded besides what skops always trusts: scikit-learn's estimators, numpy's arrays and functions."""
_SCHEMA, _MAX_SCHEMA = "schema.json", 64 << 20
_INPUT = "input"
_BATCH = 4096
# What skops and scikit-learn raise for files that are truncated, changed, or of another version.
_BROKEN_FILE = (*BROKEN_ARCHIVE, LookupError, TypeError, AttributeError, ImportError, AssertionError)


class ScikitLearn(SourceModel):
    """A classifier, regressor or transformer, or a pipeline that ends with one."""

    name, file = "scikit-learn", "model.skops"

    def __init__(self, model: Any, declared: Signature | None) -> None:
        self._model, self._kind = model, _find_kind(model)
        self._columns = declared is not None and not (len(declared.inputs) == 1 and _is_matrix(declared.inputs[0]))
        self._declared = declared
        self.inputs = declared.inputs if declared else (_describe_matrix(model),)
        self._outputs = _list_outputs(model, self._kind)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the estimator from types that are known; raise ConversionFailed."""
        model = _load(folder / cls.file)
        return cls(model, read_signature(folder) if (folder / SIGNATURE_FILE).is_file() else None)

    def export(self, file: Path, opset: int | None) -> Signature:
        """Convert with skl2onnx."""
        converted = build_onnx(self._model, self.inputs, opset, len(self._outputs) == 2, _describe(self._model))
        signature = self._rename(converted)
        file.write_bytes(converted.SerializeToString())
        return finish(file, opset, signature)

    def _rename(self, model: Any) -> Signature:
        """Keep the outputs that the estimator has, with the names of signature.json or the usual ones."""
        names = (
            [tensor.name for tensor in self._declared.outputs] if self._declared and self._declared.outputs else None
        )
        outputs = self._outputs
        if names and len(names) != len(outputs):
            usual = ", ".join(tensor.name for tensor in outputs)
            raise ConversionFailed(f"{SIGNATURE_FILE}: outputs: got {', '.join(names)}, expected names for {usual}")
        if len(model.graph.output) < len(outputs):
            raise ConversionFailed(f"model: skl2onnx made {len(model.graph.output)} outputs, expected {len(outputs)}")
        del model.graph.output[len(outputs) :]
        for value in model.graph.input:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"  # all columns have the same rows
        kept = []
        for value, tensor, name in zip(model.graph.output, outputs, names or [t.name for t in outputs], strict=True):
            if value.name != name:
                model.graph.node.add(op_type="Identity", name=f"name_{name}", input=[value.name], output=[name])
                value.name = name
            kept.append(_complete(tensor, value, name))
        return Signature(tuple(self.inputs), tuple(kept))

    def run(self, split: Split) -> Arrays:
        """Run the estimator on the split."""
        parts = []
        for batch in split.batches(_BATCH):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    parts.append(self._run(self._arrange(batch)))
            except _BROKEN_FILE as error:
                raise ConversionFailed(f"{_describe(self._model)} failed on the split: {first_line(error)}") from None
        return join_outputs([tensor.name for tensor in self._outputs], parts)

    def _arrange(self, batch: dict[str, NDArray[Any]]) -> Any:
        """Return what the estimator expects: one matrix, or a table with a column for each input."""
        if not self._columns:
            (matrix,) = batch.values()
            return matrix
        columns = {name: array.reshape(len(array)) for name, array in batch.items()}
        if hasattr(self._model, "feature_names_in_"):
            import pandas as pd  # type: ignore[import-untyped]

            return pd.DataFrame(columns)
        return np.stack([array.astype(object) for array in columns.values()], axis=1)

    def _run(self, table: Any) -> Arrays:
        model = self._model
        if self._kind == "classifier":
            scores = [model.predict_proba(table)] if len(self._outputs) == 2 else []
            return [np.asarray(model.predict(table)), *scores]
        result = model.predict(table) if self._kind == "regressor" else model.transform(table)
        if not isinstance(result, np.ndarray):
            result = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
        return [result.reshape(len(result), -1)]


def _load(file: Path) -> Any:
    import skops.io  # type: ignore[import-untyped]
    from sklearn.exceptions import InconsistentVersionWarning  # type: ignore[import-untyped]

    check_archive(file)
    try:
        with zipfile.ZipFile(file) as archive:
            size = archive.getinfo(_SCHEMA).file_size
        if size > _MAX_SCHEMA:
            raise ConversionFailed(f"{file.name}: {_SCHEMA} has {size} bytes, expected at most {_MAX_SCHEMA}")
        if unknown := sorted(set(skops.io.get_untrusted_types(file=file)) - set(_TRUSTED)):
            raise ConversionFailed(
                f"{file.name}: got the types {', '.join(unknown[:10])}, expected scikit-learn's and numpy's own; "
                "export the model to ONNX where its code is, and publish model.onnx"
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = skops.io.load(file, trusted=list(_TRUSTED))
    except _BROKEN_FILE as error:
        raise ConversionFailed(f"{file.name}: skops {skops.__version__} cannot load it: {first_line(error)}") from None
    for warning in caught:
        if issubclass(warning.category, InconsistentVersionWarning):
            sys.stderr.write(f"{file.name}: {first_line(warning.message)}\n")  # type: ignore[arg-type]
            break
    check_trees(model, file.name)
    return model


def _find_kind(model: Any) -> str:
    from sklearn.base import BaseEstimator, is_classifier, is_regressor  # type: ignore[import-untyped]
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]

    kinds = "a fitted classifier, regressor or transformer"
    if not isinstance(model, BaseEstimator):
        raise ConversionFailed(f"model.skops: got a {type(model).__name__}, expected {kinds}")
    try:
        check_is_fitted(model)
    except (NotFittedError, *_BROKEN_FILE):
        raise ConversionFailed(f"model.skops: {_describe(model)} is not fitted, expected {kinds}") from None
    if is_classifier(model) and hasattr(model, "classes_"):
        return "classifier"
    if is_regressor(model):
        return "regressor"
    if hasattr(model, "transform") and not hasattr(model, "predict"):
        return "transformer"
    raise ConversionFailed(f"model.skops: {_describe(model)} is neither, expected {kinds}")


def _describe_matrix(model: Any) -> TensorSignature:
    """Return the signature of the only input if there is no signature.json."""
    if hasattr(model, "feature_names_in_"):
        names = [str(name) for name in model.feature_names_in_]
        columns = [{"name": name, "dtype": "FP32", "shape": [-1, 1]} for name in names[:3]]
        raise ConversionFailed(
            f"model: got no {SIGNATURE_FILE}, expected one: {_describe(model)} was fitted on columns with names; "
            f"with each column's data type: {json.dumps({'inputs': columns, 'outputs': []})}"
        )
    count = getattr(model, "n_features_in_", None)
    if type(count) is not int:
        raise ConversionFailed(f"model: got no {SIGNATURE_FILE}, expected one: {_describe(model)} names no inputs")
    return TensorSignature(_INPUT, "FP32", (-1, count))


def _is_matrix(tensor: TensorSignature) -> bool:
    return len(tensor.shape) == 2 and tensor.shape[1] != 1 and tensor.dtype != "BYTES"


def _list_outputs(model: Any, kind: str) -> tuple[TensorSignature, ...]:
    if kind != "classifier":
        return (TensorSignature("prediction" if kind == "regressor" else "output", "FP32", (-1, -1)),)
    classes = model.classes_
    if not isinstance(classes, np.ndarray) or classes.dtype.kind not in "iubUO":
        raise ConversionFailed(f"model.skops: {_describe(model)} has several outputs, expected one class an example")
    dtype = datatype_of(classes) if classes.dtype.kind == "b" else "BYTES" if classes.dtype.kind in "UO" else "INT64"
    label = TensorSignature("label", dtype, (-1,))
    if not hasattr(model, "predict_proba"):
        return (label,)
    return label, TensorSignature("probabilities", "FP32", (-1, len(classes)))


def _complete(tensor: TensorSignature, value: Any, name: str) -> TensorSignature:
    """Return an output's signature with what skl2onnx knows of scores, and leave the shape in the file to it."""
    found = value.type.tensor_type
    sizes = [dim.dim_value or -1 for dim in found.shape.dim]
    known = sizes if len(sizes) == len(tensor.shape) else tensor.shape
    found.ClearField("shape")
    shape = tuple(max(pair) for pair in zip(tensor.shape, known, strict=True))
    dtype = BY_ONNX.get(onnx_type(found.elem_type), tensor.dtype) if tensor.dtype == "FP32" else tensor.dtype
    return TensorSignature(name, dtype, shape)


def _describe(model: object) -> str:
    steps = getattr(model, "steps", None)
    names = [type(step).__name__ for _, step in steps] if isinstance(steps, list) else []
    return f"{type(model).__name__}({', '.join(names)})" if names else type(model).__name__
