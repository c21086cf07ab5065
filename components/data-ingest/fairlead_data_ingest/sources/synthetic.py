"""A table that is made up: classes around the corners of a cube, and features of noise alone."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..source import Source, Synthetic
from .fetched import Fetched, check_size

LABEL = "label"


def fetch(source: Source, base: Path, work: Path) -> Fetched:
    """Make the table; the same parameters make the same one."""
    del base
    parameters = source.synthetic or Synthetic(rows=1, features=1)
    check_size("synthetic", 8 * parameters.rows * parameters.features, source.size_limit)
    table = make_table(parameters)
    digest = hashlib.sha256(parameters.model_dump_json().encode()).hexdigest()
    return Fetched(work, (), {"kind": "synthetic", "sha256": digest}, table=table)


def make_table(parameters: Synthetic) -> pa.Table:
    """Return columns x0, x1, … and `label`, whose classes have equal numbers of rows."""
    generator = np.random.default_rng(parameters.seed)
    labels = generator.permutation(np.arange(parameters.rows) % parameters.classes)
    values = generator.standard_normal((parameters.rows, parameters.features))
    informative = min(parameters.informative or parameters.features, parameters.features)
    bits = max(1, (parameters.classes - 1).bit_length())
    # The corner of a class: the binary digits of its number, over and over.
    corners = (labels[:, None] >> (np.arange(informative) % bits)) & 1
    values[:, :informative] += parameters.separation * (2 * corners - 1)
    columns = {f"x{index}": values[:, index] for index in range(parameters.features)}
    return pa.table({**columns, LABEL: labels})
