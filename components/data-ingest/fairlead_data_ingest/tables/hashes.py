"""Hashes of rows: 64 bits for each, equal for equal rows, whatever the order of rows and columns.

A number has the hash of its value, so that 1 and 1.0 are equal, and a column of integers that gets fractions when data
grow does not move its rows; one of numbers that becomes texts does. Texts are trimmed and in NFC.
https://prng.di.unimi.it/splitmix64.c is the mixing function.
"""

import hashlib
from collections.abc import Sequence
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
_EXACT = 1 << 53
_NULL = np.uint64(0x9E3779B97F4A7C15)


def hash_rows(table: pa.Table, columns: Sequence[str]) -> Hashes:
    """Return the hash of each row's values in these columns."""
    total = np.zeros(table.num_rows, np.uint64)
    for name in sorted(columns):
        key = np.uint64(_hash_text(name.encode()))
        total = mix(total ^ mix(_hash_column(table[name]) + key))
    return total


def mix(values: Hashes) -> Hashes:
    """Spread the bits: each bit of the result depends on each of the value."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def to_shares(hashes: Hashes, seed: int) -> NDArray[np.float64]:
    """Return a number from 0 to below 1 for each hash."""
    mixed = mix(hashes ^ np.uint64(_hash_text(f"seed {seed}".encode())))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _hash_column(column: pa.ChunkedArray) -> Hashes:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    kind = array.type
    if pa.types.is_floating(kind):
        found: Hashes = _hash_floats(np.asarray(pc.fill_null(pc.cast(array, pa.float64()), 0.0)))
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        found = _hash_integers(np.asarray(pc.fill_null(pc.cast(array, pa.int64()), 0)))
    elif pa.types.is_temporal(kind):
        text = pc.cast(array, pa.timestamp("us")) if pa.types.is_date(kind) else array
        found = _hash_texts(pc.cast(text, pa.string()))
    else:
        found = _hash_texts(pc.cast(array, pa.string()))
    missing = np.asarray(pc.is_null(array, nan_is_null=True), bool)
    found[missing] = _NULL
    return found


def _hash_floats(values: NDArray[np.float64]) -> Hashes:
    return mix((values + 0.0).view(np.uint64))  # -0.0 + 0.0 is 0.0


def _hash_integers(values: NDArray[np.int64]) -> Hashes:
    small = (values > -_EXACT) & (values < _EXACT)
    hashes: Hashes = np.where(small, _hash_floats(values.astype(np.float64)), mix(~values.view(np.uint64)))
    return hashes


def _hash_texts(array: pa.Array) -> Hashes:
    encoded = array.dictionary_encode()
    texts = [normalize("NFC", str(text).strip()) for text in encoded.dictionary.to_pylist()]
    hashes = [_hash_text(text.encode("utf-8", "surrogatepass")) for text in texts]
    distinct: Hashes = np.array(hashes or [0], np.uint64)
    return distinct[np.asarray(pc.fill_null(encoded.indices, 0), np.int64)]


def _hash_text(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
