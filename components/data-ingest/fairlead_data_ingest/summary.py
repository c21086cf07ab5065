"""What was made of the data, for people: a table for the terminal, Markdown for the pipeline's page."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from .ingest import Ingested

_MAX_ROWS = 50


def build_text(ingested: Ingested) -> str:
    """Return aligned lines."""
    lines = list(_facts(ingested))
    width = max(len(name) for name, _ in lines)
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines)


def build_markdown(ingested: Ingested, uri: str) -> str:
    """Return a page: origin, splits, classes, and the columns of the first split."""
    manifest = ingested.manifest
    lines = ["# Dataset", "", f"`{_plain(uri)}`" + (f", `{manifest.digest}`" if manifest else ", not published"), ""]
    lines += [f"- **{name}**: {_plain(text)}" for name, text in _facts(ingested)]
    if ingested.written.classes:
        names = sorted({name for each in ingested.written.classes.values() for name in each})[:_MAX_ROWS]
        splits = list(ingested.written.splits)
        lines += ["", f"| class | {' | '.join(splits)} |", f"|{'---|' * (len(splits) + 1)}"]
        for name in names:
            counts = [f"{ingested.written.classes.get(split, {}).get(name, 0):,}" for split in splits]
            lines.append(f"| {_plain(name)} | {' | '.join(counts)} |")
    lines += ["", "| column | type | missing | smallest | mean | largest |", f"|{'---|' * 6}"]
    lines += [f"| {' | '.join(map(_plain, row))} |" for row in _columns(ingested.sample)]
    return "\n".join(lines) + "\n"


def _facts(ingested: Ingested) -> Iterator[tuple[str, str]]:
    origin = ingested.origin
    yield "source", " ".join(f"{name}={value}" for name, value in origin.items())
    yield "format", str(ingested.written.facts["format"])
    if ingested.assigned.dropped:
        yield "dropped", f"{ingested.assigned.dropped:,} examples that are equal to another one"
    total = sum(ingested.written.splits.values())
    for name, count in ingested.written.splits.items():
        classes = ingested.written.classes.get(name, {})
        shown = ", ".join(f"{each} {number:,}" for each, number in list(classes.items())[:10])
        yield name, f"{count:,} ({count / total:.1%})" + (f": {shown}" if shown else "")
    if ingested.manifest:
        yield "digest", ingested.manifest.digest


def _columns(table: pa.Table) -> Iterator[tuple[str, ...]]:
    for name in table.column_names[:_MAX_ROWS]:
        column = table[name]
        numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        figures = [_figure(pc.min(column)), _figure(pc.mean(column)), _figure(pc.max(column))] if numbers else [""] * 3
        yield (name, str(column.type), f"{column.null_count:,}", *figures)


def _figure(value: pa.Scalar) -> str:
    found = value.as_py()
    return "" if found is None else f"{found:.6g}"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
