"""Save a trained torch module in a format that the converter reads without running the author's code."""

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead_contracts.datatypes import BY_TORCH
from fairlead_contracts.environment import ProcessEnvironment
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import Signature, TensorSignature

if TYPE_CHECKING:
    import torch  # type: ignore[import-not-found, unused-ignore]

MODEL_FILE = "model.pt2"


def save_model(
    module: "torch.nn.Module",
    inputs: "Mapping[str, torch.Tensor]",
    *,
    outputs: Sequence[str] = ("output",),
    folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Write model.pt2 (torch.export with a dynamic first dimension) and signature.json; return the folder.

    `inputs` are example tensors by name, in the order of the module's arguments. Their first dimension must be at
    least 2, because torch treats a dimension of 1 as fixed. `folder` defaults to the job's FAIRLEAD_MODEL_DIR. Call
    this on rank 0 only.
    """
    import torch

    # Longer than 40 lines: the module's inputs, its outputs and the signature are checked against each other.
    target = Path(folder or ProcessEnvironment.from_environment(os.environ).model_folder or "model")
    target.mkdir(parents=True, exist_ok=True)
    # copies: of a slice, the program would hold the whole tensor, such as all training data
    examples = {name: tensor.detach().cpu().clone() for name, tensor in inputs.items()}
    for name, tensor in examples.items():
        if tensor.dim() < 1 or tensor.shape[0] < 2:
            raise ValueError(
                f"inputs[{name!r}]: got shape {list(tensor.shape)}, expected a first dimension of at least 2"
            )
    module = module.cpu().eval()
    batch = torch.export.Dim("batch")
    # Positional arguments: the signature's names may differ from the names of the module's arguments.
    program = torch.export.export(
        module, tuple(examples.values()), dynamic_shapes=_group(module, [{0: batch} for _ in examples]), strict=False
    )
    with torch.no_grad():
        results = module(*examples.values())
    tensors = results if isinstance(results, (tuple, list)) else (results,)
    if len(tensors) != len(outputs):
        raise ValueError(f"outputs: got {len(outputs)} names, expected {len(tensors)}")
    torch.export.save(program, target / MODEL_FILE)
    signature = Signature(
        inputs=tuple(_describe(name, tensor) for name, tensor in examples.items()),
        outputs=tuple(_describe(name, tensor) for name, tensor in zip(outputs, tensors, strict=True)),
    )
    (target / SIGNATURE_FILE).write_text(json.dumps(signature.to_json(), indent=1))
    return target


def _group(module: "torch.nn.Module", shapes: list[Any]) -> tuple[Any, ...]:
    """Return what torch.export wants for each argument: one tuple for all that a module accepts as `*arguments`."""
    kinds = [parameter.kind for parameter in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return tuple(shapes)
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*shapes[:named], tuple(shapes[named:])) if shapes[named:] else tuple(shapes)


def _describe(name: str, tensor: "torch.Tensor") -> TensorSignature:
    dtype = BY_TORCH.get(str(tensor.dtype))
    if dtype is None:
        raise ValueError(f"{name}: got {tensor.dtype}, expected one of {', '.join(BY_TORCH)}")
    return TensorSignature(name=name, dtype=dtype, shape=(-1, *tensor.shape[1:]))
