"""The limit of one request at a time in Python: HTTP's syntax, JSON, the model, JSON; no checks, metrics or limits."""

import asyncio
import sys
from typing import cast

import httptools
import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import orjson
import uvloop


class Connection(asyncio.Protocol):
    """Answers each request inline."""

    _transport: asyncio.Transport
    _body = b""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer."""
        tensor = orjson.loads(self._body)["inputs"][0]
        self._body = b""
        array = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
        output = self._session.run(None, {tensor["name"]: array})[0]
        answer = {"name": "logits", "datatype": "FP32", "shape": output.shape, "data": output.ravel()}
        body = orjson.dumps({"model_name": "digits", "outputs": [answer]}, option=orjson.OPT_SERIALIZE_NUMPY)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


async def serve(path: str, port: int) -> None:
    """Serve a model on loopback."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    server = await asyncio.get_running_loop().create_server(lambda: Connection(session), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
