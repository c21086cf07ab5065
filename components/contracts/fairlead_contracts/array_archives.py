"""Archives of arrays (.npz), as datasets, predictions and self-tests have them. Imported on devices."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

ENDING = ".npy"
"""Of an array's member, which is named after it."""


def write_arrays(file: Path | BytesIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an archive; equal arrays make equal bytes. ValueError for arrays of Python objects.

    numpy's `savez` accepts arrays as keywords, so that it cannot write one named `file`, and notes the time.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            # the size of a member is not known before it is written
            with archive.open(zipfile.ZipInfo(f"{name}{ENDING}"), "w", force_zip64=True) as member:
                content = np.asarray(array, order="C")
                npy.write_array(member, content, allow_pickle=False)  # type: ignore[no-untyped-call, unused-ignore]
