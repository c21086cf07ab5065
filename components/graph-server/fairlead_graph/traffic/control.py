"""The path at which the operator sets the traffic of a server, and reads what it has measured."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from fairlead_contracts.errors import ContractError
from fairlead_contracts.traffic import FILE, SIGNATURE, TrafficDocument
from fairlead_serving.messages import Request, Response, json_response

from .key import TrafficKey
from .split import Conflict, Traffic

_log = logging.getLogger(__name__)
_SIGNATURE = SIGNATURE.lower().encode()


class Control:
    """Reads and writes the document in force."""

    def __init__(
        self, traffic: Traffic, key: TrafficKey, prepare: Callable[[TrafficDocument], Awaitable[None]]
    ) -> None:
        """Accept documents that are signed with the key; `prepare` is awaited before one is in force."""
        self._traffic, self._key, self._prepare = traffic, key, prepare

    async def answer(self, request: Request) -> Response:
        """Answer one request at the path."""
        if request.method in ("GET", "HEAD"):
            return self._facts()
        if request.method == "PUT":
            return await self._put(request)
        problem = {"error": f"method {request.method[:20]}: expected GET, HEAD or PUT"}
        return json_response(problem, 405, [("Allow", "GET, HEAD, PUT")])

    async def read(self, path: Path) -> None:
        """Put the document in a file in force, if it is one for this server: without it, no request goes elsewhere.

        The kubelet may have kept an older one, or one without the window, so that what the operator says counts more.
        """
        try:
            with path.open("rb") as file:
                content = file.read(TrafficDocument.max_bytes + 1)
            document = TrafficDocument.parse_json(content, FILE)
            await self._prepare(document)
            self._traffic.replace(document, provisional=True)
        except FileNotFoundError:
            return
        except (OSError, ContractError, Conflict) as error:
            _log.error("the traffic file is not used", extra={"path": str(path), "reason": str(error)})

    def _facts(self) -> Response:
        return json_response(self._traffic.facts().to_json())

    async def _put(self, request: Request) -> Response:
        body = request.body
        if len(body) > TrafficDocument.max_bytes:
            problem = f"body: got {len(body)} bytes, expected at most {TrafficDocument.max_bytes}"
            return json_response({"error": problem}, 413)
        if not self._key.is_signed(body, request.header(_SIGNATURE).decode("latin-1")):
            return json_response({"error": f"header {SIGNATURE}: expected the signature of the body"}, 403)
        try:
            document = TrafficDocument.parse_json(body, FILE)
            await self._prepare(document)
            self._traffic.replace(document)
        except ContractError as error:
            return json_response({"error": str(error)}, 400)
        except Conflict as error:
            return json_response({"error": str(error), "generation": self._traffic.generation}, 409)
        return self._facts()
