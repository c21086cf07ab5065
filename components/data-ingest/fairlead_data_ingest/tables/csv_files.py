"""Reads CSV files as columns of texts; what a field means is decided later, so that an error can name its row."""

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv
from fairlead_artifacts import open_regular
from fairlead_datasets.errors import Unusable
from fairlead_datasets.survey.tables import check_columns

from ..recipe import Csv

_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 20
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_BLOCK = 16 << 20
csv.field_size_limit(_BLOCK)  # Arrow's own limit is the block
_END = "fairlead-end-of-file-3f1c9a"


def read_csv(file: Path, name: str, options: Csv) -> pa.Table:
    """Return the table, each column as texts and nulls; raise Unusable naming the row."""
    encoding = _find_encoding(file, name, options.encoding)
    sample = _read_sample(file, encoding)
    if not sample.strip():
        raise Unusable(f"{name}: is empty, expected a header and rows")
    delimiter = options.delimiter or _find_delimiter(sample, name)
    header = check_columns(Path(name), _read_header(sample, delimiter, name))
    wrong: list[pacsv.InvalidRow] = []

    def collect(row: pacsv.InvalidRow) -> str:
        wrong.append(row)
        return "skip" if len(wrong) < 3 else "error"

    parse = pacsv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=collect,
        ignore_empty_lines=len(header) > 1,  # in a file of one column, such a line is a row without a value
    )  # fmt: skip
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), null_values=list(options.nulls), strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    # One thread: only then rows have numbers.
    read = pacsv.ReadOptions(use_threads=False, block_size=_BLOCK)
    try:
        with open_regular(file) as opened:
            content = _Content(opened, encoding, delimiter.join([_END] * len(header)))
            table = pacsv.read_csv(pa.PythonFile(content, "r"), read, parse, convert)
    except pa.ArrowException as error:
        if not wrong:
            raise Unusable(f"{name}: {' '.join(str(error).split())[:300]}, expected CSV") from None
    if wrong:
        row = wrong[0]
        at = f"row {row.number - 1}" if row.number else "a row"
        raise Unusable(
            f"{name}: {at}: got {row.actual_columns} fields, expected {row.expected_columns} as in the header "
            f"(delimiter {delimiter!r}): {row.text[:80]!r}"
        )
    _check_quotes(file, name, encoding, delimiter)
    rows = table.num_rows - 1
    if rows < 0 or table[header[0]][rows].as_py() != _END:
        raise Unusable(f"{name}: row {rows + 1}: a quote is opened and never closed, expected CSV")
    if not rows:
        raise Unusable(f"{name}: has a header and no rows, expected at least one")
    return table.slice(0, rows).combine_chunks()


class _Content(io.RawIOBase):
    """A file as UTF-8, with a last row by which an open quote is noticed: Arrow would read on to the end in silence."""

    def __init__(self, file: BinaryIO, encoding: str, last: str) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, newline="")
        self._last = f"{last}\n"
        self._line_ends = False
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, none at the end."""
        if not self._rest:
            text = self._text.read(max(1, size))
            if text:
                self._line_ends = text[-1] in "\r\n"
            elif self._last:
                text, self._last = ("" if self._line_ends else "\n") + self._last, ""
            self._rest = text.encode()
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def _find_encoding(file: Path, name: str, given: str | None) -> str:
    """Return the encoding after decoding the whole file with it; raise Unusable for a byte that it does not have."""
    with open_regular(file) as opened:
        start = opened.read(4)
    encoding = given or next((found for mark, found in _MARKS.items() if start.startswith(mark)), "utf-8")
    try:
        b"a".decode(encoding, "ignore")  # fails for codecs that are none of text, such as zip
        decoder = codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError):
        raise Unusable(f"csv.encoding: got {encoding!r}, expected a known one, such as windows-1252") from None
    lines = 1
    for chunk in _chunks(file):
        try:
            lines += decoder.decode(chunk, final=not chunk).count("\n")
        except UnicodeDecodeError as error:
            lines += chunk[: error.start].count(b"\n")
            advice = "" if given else "; name its encoding in csv.encoding, such as windows-1252"
            byte = error.object[error.start : error.start + 1].hex()
            raise Unusable(f"{name}: line {lines}: byte 0x{byte} is not {encoding.upper()}{advice}") from None
    return encoding


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield the content, then an empty chunk."""
    with open_regular(file) as opened:
        while chunk := opened.read(1 << 20):
            yield chunk
    yield b""


def _check_quotes(file: Path, name: str, encoding: str, delimiter: str) -> None:
    """Raise Unusable for text after a closing quote, where Arrow would read two rows as one."""
    with open_regular(file) as opened, io.TextIOWrapper(opened, encoding=encoding, newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            deque(reader, maxlen=0)
        except csv.Error as error:
            if "unexpected end" not in str(error):  # an open quote, which the last row shows
                raise Unusable(f"{name}: line {reader.line_num}: {error}, expected CSV") from None


def _read_sample(file: Path, encoding: str) -> str:
    with open_regular(file) as opened, io.TextIOWrapper(opened, encoding=encoding, newline="") as text:
        return text.read(_SAMPLE)


def _find_delimiter(sample: str, name: str) -> str:
    """Return the character that splits the first lines into the same number of fields, the most of them."""
    lines = sample.splitlines()[:20]
    counts = {each: _count_fields(lines, each) for each in _DELIMITERS}
    best = max(counts, key=lambda each: counts[each])
    if counts[best] > 1:
        return best
    if not any(each in lines[0] for each in _DELIMITERS):
        return ","  # a single column
    problem = f"the first lines have equal numbers of fields by none of {_DELIMITERS!r}"
    raise Unusable(f"{name}: {problem}; name the delimiter in csv.delimiter")


def _count_fields(lines: list[str], delimiter: str) -> int:
    """Return the number of fields of the header if most lines have it, else 0."""
    try:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return 0
    equal = sum(count == counts[0] for count in counts)
    return counts[0] if 2 * equal > len(counts) else 0


def _read_header(sample: str, delimiter: str, name: str) -> list[str]:
    try:
        return next(row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True) if row)
    except (csv.Error, StopIteration) as error:
        raise Unusable(f"{name}: line 1: {error}, expected a header") from None
