"""The model as MLServer serves it: a runtime of a few lines around the same session."""

import os

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class Digits(MLModel):  # type: ignore[misc]
    """A model of MLServer's."""

    async def load(self) -> bool:
        """Open the model."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        output = self._session.run(None, {"pixels": rows})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("logits", output)])
