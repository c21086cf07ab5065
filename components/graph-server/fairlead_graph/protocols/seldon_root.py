"""Seldon's methods of routers and combiners: the root is called as a microservice in the graph of Seldon's executor.

The nodes below it are elsewhere, and what stands for them in our graph is not called.
"""

from collections.abc import Mapping
from typing import Any

from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import MAX_CHILDREN
from fairlead_serving.bodies import check_length, dump_json, parse_json
from fairlead_serving.child import Reply

from ..execute import Run, choose_child, combine
from ..seldon_message import NDARRAY, parse_message
from ..service import Service
from .seldon import build_answer, take_puid


async def route(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer /route in JSON; raise ServingError or ContractError."""
    response = await _route(service, parse_json(body), run)
    return {"puid": run.context.puid}, dump_json(response, service.settings.max_response_bytes)


async def aggregate(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer /aggregate in JSON; raise ServingError or ContractError."""
    response = await _aggregate(service, parse_json(body), run)
    return {"puid": run.context.puid}, dump_json(response, service.settings.max_response_bytes)


async def route_proto(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer Route as a protocol buffer; raise ServingError or ContractError."""
    from .. import seldon_proto  # protobuf's messages, which servers without gRPC do not need

    return {}, seldon_proto.encode("route", await _route(service, seldon_proto.decode(body), run))


async def aggregate_proto(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer Aggregate as a protocol buffer; raise ServingError or ContractError."""
    from .. import seldon_proto

    response = await _aggregate(service, seldon_proto.decode_list(body), run)
    content = seldon_proto.encode("predict", response)
    check_length(len(content), service.settings.max_response_bytes)
    return {}, content


async def _route(service: Service, document: Any, run: Run) -> dict[str, Any]:
    message, _ = parse_message(document)
    take_puid(document, run)
    chosen = await choose_child(service.graph.root, message, run)
    return {"data": {"names": [], NDARRAY: [[chosen]]}, "meta": {"puid": run.context.puid, "routing": run.routing}}


async def _aggregate(service: Service, document: Any, run: Run) -> dict[str, Any]:
    listed = document.get("seldonMessages") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_CHILDREN:
        raise ContractError("seldonMessages", listed, f"a list of 1 to {MAX_CHILDREN} messages")
    parsed = [parse_message(each, f"seldonMessages[{at}].") for at, each in enumerate(listed)]
    take_puid(listed[0], run)
    output = await combine(service.graph.root, [message for message, _ in parsed], run)
    return build_answer(service, output, parsed[0][1], run)
