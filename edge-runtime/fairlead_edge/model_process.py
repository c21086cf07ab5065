"""The model process of the runtime: `python -m fairlead_edge.model_process FD`, started by the HTTP process."""

import asyncio
import logging
import os
import sys
import tempfile
from typing import Any

import orjson
from fairlead_contracts.edge_bundle import BundleDescription
from fairlead_serving.bodies import dump_answer
from fairlead_serving.child import LoadFailed, Reply, Report, run_child
from fairlead_serving.errors import Code, ServingError

from .bundle import Bundle
from .errors import InvalidBundle
from .runtime import Runtime
from .self_test import Cases
from .targets.base import Ending
from .words import OBSERVED, SELF_TEST


class BundleModel:
    """A bundle as a model process serves it."""

    _runtime: Runtime

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:
        """Load the model; return V2's metadata."""
        description = BundleDescription.parse_json(config["description"].encode(), "bundle")
        reference = config["reference"].encode()
        bundle = Bundle(description, _split(body, config["files"]), config["digest"], reference=reference)
        self._limit = config["limit"]
        report("the bundle's model", "load")
        try:
            # A model may name files with more data, relative to the current folder: there are none.
            with tempfile.TemporaryDirectory() as empty:
                os.chdir(empty)
                self._runtime = Runtime(bundle, config["threads"])
                os.chdir("/")
        except InvalidBundle as error:
            raise LoadFailed("bundle", str(error)) from None
        return {}, orjson.dumps(self._runtime.describe())

    async def check(self) -> str | None:
        """Return None: a loaded model is always available."""
        return None

    def changed(self) -> Reply | None:
        """Return None: a bundle stays as it is."""
        return None

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:
        """Run the model on made-up input."""
        return await asyncio.to_thread(self._runtime.warm_up, 0 if attempt else 1), {}

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        """Answer a request."""
        if head["protocol"] == OBSERVED:
            return {"code": Code.OK}, orjson.dumps(self._runtime.sketch.take())
        try:
            # a run that the engine does not end is ended with the process
            ending = Ending()
            timer = asyncio.get_running_loop().call_later(head["seconds"], ending.end)
            try:
                if head["protocol"] == SELF_TEST:
                    problem = await asyncio.to_thread(self._test, body, ending)
                    return {"code": Code.OK}, orjson.dumps({"problem": problem})
                response = await asyncio.to_thread(
                    self._runtime.infer, body, ending, self._limit, head.get("header_bytes")
                )
            finally:
                timer.cancel()
            facts, content = dump_answer(response.document, response.binary, self._limit)
            return {"code": Code.OK, **facts}, content
        except ServingError as error:
            return {"code": error.code, "reason": error.reason, "error": str(error)}, b""

    def _test(self, content: bytes, ending: Ending) -> str | None:
        """Run the self-test; return what is wrong, or None. Raise ServingError."""
        test = self._runtime.bundle.description.self_test
        assert test is not None
        try:
            cases = Cases.load(test, content)
        except InvalidBundle as error:
            return str(error)
        bodies = (orjson.dumps(request) for request in cases.build_requests(self._runtime.describe()))
        answers = [self._runtime.infer(body, ending, self._limit, counted=False).document for body in bodies]
        return cases.find_problem(answers)

    def restore(self, state: Any) -> None:
        """Do nothing: a bundle learns nothing."""

    async def close(self) -> None:
        """Do nothing: the session needs no closing."""


def _split(body: bytes, files: dict[str, int]) -> dict[str, bytes]:
    """Return the files, which follow each other in a body, by name."""
    found, start = {}, 0
    for name, size in files.items():
        found[name] = body[start : start + size]
        start += size
    return found


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(run_child(BundleModel()))
