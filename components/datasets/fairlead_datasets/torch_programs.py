"""torch programs (torch.export), loaded without unpickling: model.pt2 and signature.json."""

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead_contracts.errors import ContractError
from fairlead_contracts.signature import FILE as SIGNATURE_FILE
from fairlead_contracts.signature import MAX_BYTES, Signature

from .archives import BROKEN_ARCHIVE, check_archive
from .errors import Unusable, first_line

if TYPE_CHECKING:
    import torch  # type: ignore[import-not-found, unused-ignore]

PROGRAM_FILE = "model.pt2"
# The exceptions of torch's loader for files that are truncated, changed or of another type.
_BROKEN_FILE = (*BROKEN_ARCHIVE, pickle.UnpicklingError, LookupError, TypeError, AttributeError, AssertionError)


def load_program(folder: Path) -> "tuple[torch.export.ExportedProgram, Signature]":
    """Load the program of a model's folder and its signature, which has inputs and outputs; raise Unusable."""
    if not all((folder / name).is_file() for name in (PROGRAM_FILE, SIGNATURE_FILE)):
        found = ", ".join(sorted(path.name for path in folder.iterdir())) or "no file"
        raise Unusable(f"model: got {found}, expected {PROGRAM_FILE} and {SIGNATURE_FILE}")
    check_archive(folder / PROGRAM_FILE)
    # torch.export.load falls back to unpickling the file; this disables the fallback in every version of torch.
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    import torch

    try:
        exported = torch.export.load(folder / PROGRAM_FILE)
    except _BROKEN_FILE as error:
        raise Unusable(f"{PROGRAM_FILE}: torch {torch.__version__} cannot load it: {first_line(error)}") from None
    signature = read_signature(folder)
    if not signature.outputs:
        raise Unusable(f"{SIGNATURE_FILE}: got no outputs, expected at least one with name, dtype and shape")
    return exported, signature


def read_signature(folder: Path) -> Signature:
    """Read signature.json of a model's folder, which must have inputs; raise Unusable."""
    file = folder / SIGNATURE_FILE
    try:
        with file.open("rb") as opened:
            signature = Signature.parse_json(opened.read(MAX_BYTES + 1), file.name)
    except ContractError as error:
        expected = "expected inputs and outputs with name, dtype and shape"
        raise Unusable(f"{file.name}: {expected}: {error}") from None
    if not signature.inputs:
        raise Unusable(f"{file.name}: got no inputs, expected at least one with name, dtype and shape")
    return signature
