"""The model as KServe serves it: a custom model around the same session. `python peer_kserve.py PORT GRPC_PORT`."""

import sys
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer  # type: ignore[import-not-found]
from session import open_session


class Digits(Model):  # type: ignore[misc]
    """A model of KServe's."""

    def __init__(self) -> None:
        super().__init__("digits")
        self._session = open_session()
        self.ready = True

    async def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> InferResponse:  # noqa: ARG002
        """Run the model."""
        rows = payload.inputs[0].as_numpy().astype(np.float32)
        output = self._session.run(None, {"pixels": rows})[0]
        tensor = InferOutput("logits", list(output.shape), "FP32", data=output.ravel().tolist())
        return InferResponse(payload.id or "", self.name, [tensor])


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2]), workers=1).start([Digits()])
