"""The seam between the converter and the formats that it converts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_datasets.splits import Split
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]


class SourceModel(ABC):
    """A model in one format, loaded without running code that comes with it; of torch programs see the guide.

    A format is a subclass and a line in `sources.FORMATS`.
    """

    name: ClassVar[str]
    """What messages and parity tables call a model of this format."""
    file: ClassVar[str]
    """The file whose presence in a model's folder says that the model is of this format."""
    inputs: Sequence[TensorSignature]
    """The model's inputs, in order."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Load the model of a folder; raise Unusable."""

    @abstractmethod
    def export(self, file: Path, opset: int | None) -> Signature:
        """Write the model as an ONNX file of this opset (None: the exporter's own), and return its signature.

        Raises ConversionFailed if ONNX cannot represent it.
        """

    @abstractmethod
    def run(self, split: Split) -> Arrays | None:
        """Return the model's outputs for a split, in the signature's order; None if the original is not here.

        Raises ConversionFailed if the model fails on the split.
        """
