"""The preprocessing of a bundle: the same when its self-test is written and when requests are answered."""

import numpy as np
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_contracts.tensors import Array

_NONE = Preprocessing()


def prepare(values: Array, preprocessing: Preprocessing) -> Array:
    """Return the model's input for values as clients send them, in their data type."""
    if preprocessing == _NONE:
        return values
    with np.errstate(all="ignore"):
        return (values * preprocessing.scale + preprocessing.offset).astype(values.dtype)
