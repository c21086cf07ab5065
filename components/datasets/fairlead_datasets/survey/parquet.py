"""Reads the end of a parquet file, its metadata: the number of rows and the names of the columns.

The metadata is a struct in Thrift's compact protocol, of which this reads two fields and skips the others:
https://parquet.apache.org/docs/file-format/metadata/ and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead_artifacts import open_regular

from ..errors import Unusable
from .tables import Table, check_columns

MAX_METADATA = 64 << 20
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_MAX_DEPTH = 32
_BOOLEANS, _INTEGERS = (1, 2), (4, 5, 6)
_BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 3, 7, 8, 9, 10, 11, 12, 13
_SCHEMA, _ROWS = 2, 3
"""Fields of FileMetaData."""
_NAME, _CHILDREN = 4, 5
"""Fields of SchemaElement."""


def describe_parquet(file: Path) -> Table:
    """Return the rows and the top-level columns of a parquet file; raises Unusable for anything else."""
    try:
        found = dict(_Reader(_read_metadata(file)).fields(only=(_SCHEMA, _ROWS)))
        rows, columns = int(found[_ROWS]), list(_top_level(found[_SCHEMA]))
    except (IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"{file}: its metadata is malformed ({error}), expected a parquet file") from None
    if rows < 1:
        raise Unusable(f"{file}: has no rows, expected at least one")
    return Table(rows, check_columns(file, columns))


def _read_metadata(file: Path) -> bytes:
    with open_regular(file) as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - 8))
        end = opened.read(8)
        if end[4:] == _ENCRYPTED:
            raise Unusable(f"{file}: its metadata is encrypted, expected a plain parquet file")
        if size < 12 or end[4:] != _MAGIC:
            raise Unusable(f"{file}: does not end with {_MAGIC.decode()}, expected a complete parquet file")
        length = int.from_bytes(end[:4], "little")
        if not 0 < length <= min(size - 12, MAX_METADATA):
            raise Unusable(f"{file}: metadata of {length:,} bytes, expected at most {MAX_METADATA:,} and the file")
        opened.seek(size - 8 - length)
        return opened.read(length)


def _top_level(schema: list[dict[int, Any]]) -> Iterator[str]:
    """Yield the names of the root's children; the schema is a tree, written from the root down."""
    position = 1
    for _ in range(schema[0].get(_CHILDREN, 0)):
        yield schema[position][_NAME].decode()
        left = 1
        while left:  # pass over what is below it
            left += schema[position].get(_CHILDREN, 0) - 1
            position += 1


class _Reader:
    """Reads a value of Thrift's compact protocol; raises IndexError at the end, ValueError for what is no value."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def fields(self, only: tuple[int, ...] | None = None, depth: int = 0) -> Iterator[tuple[int, Any]]:
        """Yield a struct's fields by number; with `only`, until those have been read."""
        number, left = 0, set(only or ())
        while only is None or left:
            head = self._byte()
            if head == 0:
                return
            number = number + (head >> 4) if head >> 4 else self._integer()
            value = self._value(head & 15, depth)
            left.discard(number)
            yield number, value

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        if kind in _BOOLEANS:
            return kind == 1
        if kind == _BYTE:
            return self._byte()
        if kind in _INTEGERS:
            return self._integer()
        if kind in (_DOUBLE, _UUID):
            return self._take(8 if kind == _DOUBLE else 16)
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _MAP:
            return self._map(depth)
        if kind == _STRUCT:
            return dict(self.fields(depth=depth + 1))
        raise ValueError(f"unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        return [self._element(head & 15, depth) for _ in range(self._bounded(count))]

    def _map(self, depth: int) -> list[Any]:
        count = self._bounded(self._varint())
        kinds = self._byte() if count else 0
        return [(self._element(kinds >> 4, depth), self._element(kinds & 15, depth)) for _ in range(count)]

    def _element(self, kind: int, depth: int) -> Any:
        # in lists and maps, a boolean is a byte
        return self._byte() if kind in _BOOLEANS else self._value(kind, depth + 1)

    def _bounded(self, count: int) -> int:
        """Return a count; each element has at least one byte."""
        if count > len(self._content) - self._at:
            raise ValueError(f"got {count} elements, expected at most the bytes that are left")
        return count

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("an integer of more than 10 bytes")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._content):
            raise ValueError("ends in the middle of a value")
        return self._content[start : self._at]
