"""The human-readable model card: Markdown, HTML with plots, and a table for the terminal."""

from collections.abc import Iterable, Sequence
from html import escape

from fairlead_contracts.model_card import ModelCard

from .figures import Figures
from .plots import build_plots

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td{border-bottom:1px solid #ddd;padding:.25rem .8rem}"
    ".good{color:#176b2c}.bad{color:#a11}code{font-size:.85em;color:#555;overflow-wrap:anywhere}"
    "svg{width:100%;height:auto}"
)


def build_text(card: ModelCard, figures: Figures) -> str:
    """Return an aligned table."""
    rows = [*_summarize(card, figures), *(row for _, table in _tables(figures) for row in table)]
    width = max(len(row[0]) for row in rows)
    lines = [f"{row[0]:<{width}}  {'  '.join(row[1:])}".rstrip() for row in rows]
    return "\n".join([*lines, *(f"FAILED  {line}" for line in card.failed)]) + "\n"


def build_markdown(card: ModelCard, figures: Figures, *origin: str) -> str:
    """Return the card as Markdown; `origin` is URI and digest of the model, then of the dataset."""
    lines = [f"# Model card: {_verdict(card)}", "", *(f"- {line}" for line in _origin(*origin)), ""]
    lines += [f"- **not met**: {_plain(line)}" for line in card.failed]
    for title, rows in (("Figures", _summarize(card, figures)), *_tables(figures)):
        lines += ["", f"## {title}", "", f"|{' |' * len(rows[0])}", f"|{'---|' * len(rows[0])}"]
        lines += [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def build_html(card: ModelCard, figures: Figures, *origin: str) -> str:
    """Return the card as one HTML page without scripts or references."""
    tables = "".join(
        f"<h2>{escape(title)}</h2>{_table(rows)}"
        for title, rows in (("Figures", _summarize(card, figures)), *_tables(figures))
    )
    failed = "".join(f"<li>{escape(line)}</li>" for line in card.failed)
    names = "".join(f"<li><code>{escape(line)}</code></li>" for line in _origin(*origin))
    return (
        f"<!doctype html><meta charset=utf-8><title>Model card</title><style>{_STYLE}</style>"
        f"<h1 class={'good' if card.success else 'bad'}>Model card: {escape(_verdict(card))}</h1>"
        f"<ul class=bad>{failed}</ul>{build_plots(figures)}{tables}<h2>Origin</h2><ul>{names}</ul>\n"
    )


def _verdict(card: ModelCard) -> str:
    return f"{card.metric} {card.value:.4f}, {'good enough' if card.success else 'not good enough'}"


def _summarize(card: ModelCard, figures: Figures) -> list[tuple[str, ...]]:
    interval = f"{figures.interval[0]:.4f} to {figures.interval[1]:.4f} (95 %)" if figures.interval else ""
    rows = [(card.metric, f"{card.value:.4f}", f"at least {card.minimum:g}", interval)]
    rows += [(name, f"{value:.4f}", "", "") for name, value in figures.others.items()]
    if figures.calibration_error is not None:
        rows.append(("expected calibration error", f"{figures.calibration_error:.4f}", "", ""))
    return [*rows, ("examples", f"{card.examples}", "", card.split)]


def _tables(figures: Figures) -> Iterable[tuple[str, list[tuple[str, ...]]]]:
    for array in dict.fromkeys(each.array for each in figures.slices):
        rows: list[tuple[str, ...]] = []
        for each in figures.slices:
            if each.array == array:
                value = "-" if each.value is None else f"{each.value:.4f}"
                interval = f"{each.interval[0]:.4f} to {each.interval[1]:.4f}" if each.interval else ""
                rows.append((f"{array}={each.name}", value, f"{each.examples} examples", interval))
        if array in figures.gaps:
            gap = figures.gaps[array]
            rows.append((f"gap by {array}", f"{gap.gap:.4f}", f"{gap.worst} to {gap.best}", ""))
        yield f"Slices by {array}", rows


def _origin(model: str, model_digest: str, dataset: str, dataset_digest: str) -> tuple[str, ...]:
    return f"model {model} {model_digest}", f"dataset {dataset} {dataset_digest}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
