"""The model as Seldon Core v1's Python wrapper serves it; the wrapper wants a file and a class of one name."""

from typing import Any

import numpy as np
from session import open_session


class PeerSeldon:
    """A component of Seldon's."""

    def __init__(self) -> None:
        self._session = open_session()

    def predict(self, X: Any, features_names: Any = None) -> Any:  # noqa: ARG002
        """Run the model."""
        return self._session.run(None, {"pixels": np.asarray(X, dtype=np.float32)})[0]
