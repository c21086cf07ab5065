"""torch programs (torch.export): model.pt2 and signature.json."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fairlead_contracts.signature import Signature
from fairlead_datasets.errors import first_line
from fairlead_datasets.outputs import join_outputs
from fairlead_datasets.splits import Split
from fairlead_datasets.torch_programs import PROGRAM_FILE, load_program
from numpy.typing import NDArray

from ..errors import ConversionFailed
from ..onnx_files import finish
from .base import Arrays, SourceModel

if TYPE_CHECKING:
    import torch

_BATCH = 256


class TorchProgram(SourceModel):
    """A program and its signature."""

    name, file = "torch program", PROGRAM_FILE

    def __init__(self, exported: "torch.export.ExportedProgram", signature: Signature) -> None:
        self.exported, self.signature, self.inputs = exported, signature, signature.inputs

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the program; raise Unusable."""
        return cls(*load_program(folder))

    def export(self, file: Path, opset: int | None) -> Signature:
        """Write the program as an ONNX file, with the names of signature.json."""
        import torch

        # Its warnings concern missing packages and future versions; users cannot act on them.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = torch.onnx.export(
                    self.exported,
                    input_names=[tensor.name for tensor in self.signature.inputs],
                    output_names=[tensor.name for tensor in self.signature.outputs],
                    dynamo=True,
                    opset_version=opset,
                    verbose=False,
                )
            except torch.onnx.OnnxExporterError as error:
                first = first_line(error.__cause__ or error)
                raise ConversionFailed(f"model: torch {torch.__version__} cannot export it to ONNX: {first}") from None
        if result is None:
            raise ConversionFailed("model: torch exported nothing, expected an ONNX program")
        result.save(str(file))
        return finish(file, opset, self.signature)

    def run(self, split: Split) -> Arrays:
        """Run the program batch by batch."""
        import torch

        module = self.exported.module()
        parts = []
        for batch in split.batches(_BATCH):
            try:
                with torch.no_grad():
                    result = module(*(torch.from_numpy(array) for array in batch.values()))
            except (RuntimeError, AssertionError) as error:
                raise ConversionFailed(f"the torch program failed on the split: {str(error)[:300]}") from None
            parts.append([_to_array(tensor) for tensor in (result if isinstance(result, tuple | list) else (result,))])
        return join_outputs([tensor.name for tensor in self.signature.outputs], parts)


def _to_array(tensor: "torch.Tensor") -> NDArray[Any]:
    try:
        array: NDArray[Any] = tensor.numpy()
    except TypeError:
        raise ConversionFailed(
            f"output: got {tensor.dtype}, which numpy lacks; return a tensor of torch.float32"
        ) from None
    return array
