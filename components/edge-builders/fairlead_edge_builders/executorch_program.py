"""ExecuTorch: a .pte file whose operators XNNPACK runs, as far as it can; the rest is run by portable kernels."""

from pathlib import Path

from .errors import CannotBuild, first_line
from .importing import Program

FILE = "model.pte"


def build_executorch(program: Program, folder: Path) -> None:
    """Write the model; raise CannotBuild."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    try:
        lowered = to_edge_transform_and_lower(program.export(), partitioner=[XnnpackPartitioner()])
        (folder / FILE).write_bytes(lowered.to_executorch().buffer)
    except Exception as error:  # noqa: BLE001 - the converter's exceptions have no other base
        raise CannotBuild(f"ExecuTorch cannot express the model: {first_line(error)}") from None
