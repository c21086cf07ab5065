"""The model as MLServer serves it: a runtime of a few lines around the same session."""

import numpy as np
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]
from session import open_session


class Digits(MLModel):  # type: ignore[misc]
    """A model of MLServer's."""

    async def load(self) -> bool:
        """Open the model."""
        self._session = open_session()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        output = self._session.run(None, {"pixels": rows})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("logits", output)])
