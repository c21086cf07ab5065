"""The look-up's model process: `python -m fairlead_feature_store.model_process FD`, started by the HTTP process."""

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import orjson
from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import AnswerError, build_response, parse_request
from fairlead_serving.bodies import dump_json, parse_json
from fairlead_serving.child import LoadFailed, NotYet, Reply, Report, run_child
from fairlead_serving.errors import BadRequest, Code, ServingError, Unprocessable

from .clock import use_utc
from .definitions import Definitions
from .errors import Unusable
from .lookup import Lookup


class LookupModel:
    """A set of features as a model process serves it."""

    _lookup: Lookup

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:  # noqa: ARG002
        """Prepare the look-up; return V2's metadata."""
        report("the features", "load")
        definitions = Definitions.parse(config["definitions"], "definitions")
        now = datetime.fromisoformat(config["now"]) if config["now"] else None
        try:
            self._lookup = Lookup(definitions, config["set"], config["store"], now, config["max_rows"])
        except Unusable as error:
            raise LoadFailed("features", str(error)) from None
        self._name, self._limit = config["name"], config["limit"]
        self._pool = ThreadPoolExecutor(self._lookup.threads)
        document = {"name": self._name, "versions": [config["digest"]], "platform": "fairlead-feature-store"}
        sides = {"inputs": self._lookup.inputs, "outputs": self._lookup.outputs}
        return {}, orjson.dumps(document | {side: [spec.describe() for spec in specs] for side, specs in sides.items()})

    async def check(self) -> str | None:
        """Return why the online store cannot be read now, or None."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._lookup.check)

    def changed(self) -> Reply | None:
        """Return None: the definitions stay as they are."""
        return None

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:  # noqa: ARG002
        """Read what is in no store; raise NotYet if the store does not answer."""
        if reason := await self.check():
            raise NotYet(reason)
        return None, {}

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:  # noqa: ARG002
        """Answer a request."""
        try:
            response = await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, body)
            return {"code": Code.OK}, dump_json(response, self._limit)
        except ServingError as error:
            return {"code": error.code, "reason": error.reason, "error": str(error)}, b""

    def restore(self, state: Any) -> None:
        """Do nothing: a look-up learns nothing."""

    async def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False)

    def _answer(self, body: bytes) -> dict[str, Any]:
        try:
            outputs = [spec.name for spec in self._lookup.outputs]
            request = parse_request(parse_json(body), self._lookup.inputs, outputs)
            return build_response(self._name, self._lookup.read(dict(request.tensors)), request, self._limit).document
        except AnswerError as error:
            raise Unprocessable(str(error)) from None
        except ContractError as error:
            raise BadRequest(str(error)) from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    use_utc()
    sys.exit(run_child(LookupModel()))
