"""Where a Horovod process listens for notices, read from its pickled report without unpickling it.

A pickle is a program. This interpreter knows the few instructions that build texts, bytes, integers, lists, tuples and
dictionaries, each of which adds at most what it carries, and rejects all others.
"""

import base64
import binascii
import pickletools
from dataclasses import dataclass
from typing import Any

_MAX_BYTES, _MAX_INSTRUCTIONS = 8192, 1000
_MAX_KEY = 256
_VALUES = (
    "BININT", "BININT1", "BININT2", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES",
)  # fmt: skip
_NO_EFFECT = ("PROTO", "FRAME")


class ListenerError(ValueError):
    """A report is not what Horovod's processes say."""


@dataclass(frozen=True)
class Listener:
    """Where a process listens, at its own address, and the key that authenticates notices."""

    port: int
    key: bytes


def read_listener(value: bytes) -> Listener:
    """Return a process's listener from its report: base64 of ({interface: [(address, port)]}, key), pickled."""
    if len(value) > _MAX_BYTES:
        raise ListenerError(f"got {len(value)} bytes, expected at most {_MAX_BYTES}")
    try:
        content = _Machine().run(base64.b64decode(value, validate=True))
    except (ValueError, TypeError, IndexError, KeyError, binascii.Error) as error:
        raise ListenerError(f"got no plain pickle: {str(error)[:200]}") from None
    match content:
        case (dict() as interfaces, bytes() as key) if 0 < len(key) <= _MAX_KEY:
            pass
        case _:
            raise ListenerError(f"got {type(content).__name__}, expected addresses and a key of 1 to {_MAX_KEY} bytes")
    ports = {port for places in interfaces.values() for port in _read_ports(places)}
    if len(ports) != 1:
        raise ListenerError(f"got {len(ports)} ports, expected one")
    return Listener(ports.pop(), key)


def _read_ports(places: object) -> list[int]:
    if not isinstance(places, list):
        raise ListenerError(f"got {type(places).__name__}, expected a list of addresses")
    ports = []
    for place in places:
        match place:
            case (str(), int() as port) if 0 < port < 65536:
                ports.append(port)
            case (str(), int() as port):
                raise ListenerError(f"port: got {port}, expected 1 to 65535")
            case _:
                raise ListenerError(f"got {type(place).__name__}, expected an address and a port")
    return ports


class _Machine:
    """The interpreter: a stack, and the values that are used again."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(program)):
            if count >= _MAX_INSTRUCTIONS:
                raise ListenerError(f"got more than {_MAX_INSTRUCTIONS} instructions")
            if instruction.name == "STOP":
                return self._stack.pop()
            self._do(instruction.name, argument)
        raise ListenerError("got no end")

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name not in _NO_EFFECT:
            self._build(name)

    def _build(self, name: str) -> None:
        stack = self._stack
        match name:
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "TUPLE2":
                stack.append(tuple(self._take(2)))
            case "TUPLE":
                stack.append(tuple(self._take_marked()))
            case "APPEND" | "APPENDS":
                items = self._take(1) if name == "APPEND" else self._take_marked()
                self._top(list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._take(2) if name == "SETITEM" else self._take_marked()
                self._top(dict).update(zip(items[::2], items[1::2], strict=True))
            case _:
                raise ListenerError(f"got {name}, expected texts, integers, bytes and their lists")

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise ListenerError(f"got {type(self._stack[-1]).__name__}, expected {kind.__name__}")
        return self._stack[-1]

    def _take(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ListenerError("got too few values")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _take_marked(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items
