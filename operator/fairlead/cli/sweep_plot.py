"""The plot of a Sweep as SVG: the objective of each trial with the best one so far, and the rungs of each trial."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from fairlead.api.sweep import Pruning
from fairlead.cli.console import plain
from fairlead.core.sweep.rungs import find_rungs

Object = dict[str, Any]
Point = tuple[float, float]

_WIDTH, _HEIGHT, _GAP = 420, 300, 70
_LEFT, _TOP = 60, 50
_COLORS = {
    "Succeeded": "#2a7f3f", "Pruned": "#c98a00", "Running": "#1f77b4", "Stopped": "#888888", "Failed": "#c0392b",
}  # fmt: skip
_BEST = "#2a7f3f"
_TICKS = 5


def draw_sweep(found: Object) -> str:
    """Return the plot of a sweep, as `fairlead sweep` reads it."""
    trials = [trial for trial in found.get("status", {}).get("trials", []) if "value" in trial]
    objective, name = found["spec"]["objective"], found["metadata"]["name"]
    parts = [_text(_LEFT, 24, f"{name}: {objective['goal'].lower()} {objective['metric']}", size=15)]
    parts += _draw_trials(trials, objective["goal"] == "Maximize", objective["metric"])
    width = _LEFT + _WIDTH + 20
    if found["spec"].get("pruning"):
        parts += _draw_rungs(trials, Pruning.model_validate(found["spec"]["pruning"]), width + _GAP)
        width += _GAP + _WIDTH + 20
    parts += _draw_legend(trials)
    size = f'width="{width}" height="{_TOP + _HEIGHT + 80}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join((head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"))


@dataclass(frozen=True)
class _Panel:
    """A coordinate system on the page."""

    left: float
    xs: tuple[float, float]
    ys: tuple[float, float]
    log: bool = False
    """Whether the horizontal axis is logarithmic."""

    def place(self, x: float, y: float) -> Point:
        """Return where a point lies on the page."""
        return self.left + _WIDTH * self._share(x), _TOP + _HEIGHT * (1 - (y - self.ys[0]) / (self.ys[1] - self.ys[0]))

    def _share(self, x: float) -> float:
        low, high = self.xs
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(x)
        return (x - low) / (high - low)


def _draw_trials(trials: Sequence[Object], maximize: bool, metric: str) -> Iterator[str]:
    """Draw a point for each trial, and a line for the best value of those that have succeeded until then."""
    last = max((trial["number"] for trial in trials), default=1)
    panel = _Panel(_LEFT, (0.5, last + 0.5), _span([trial["value"] for trial in trials]))
    yield from _draw_axes(panel, "trial", metric, range(1, last + 1, max(1, last // 10)))
    best: float | None = None
    line: list[Point] = []
    for trial in trials:
        if trial["state"] == "Succeeded":
            value = trial["value"]
            before, best = best, value if best is None else (max if maximize else min)(best, value)
            line += [panel.place(trial["number"], value if before is None else before)]
            line += [panel.place(trial["number"], best)]
    if best is not None:
        yield _polyline([*line, panel.place(last + 0.5, best)], _BEST)
    for trial in trials:
        yield _circle(panel.place(trial["number"], trial["value"]), trial)


def _draw_rungs(trials: Sequence[Object], pruning: Pruning, left: float) -> Iterator[str]:
    """Draw a line for each trial through its rungs to its last value."""
    lines = []
    for trial in trials:
        points = list(zip(find_rungs(pruning, trial["number"]), trial.get("rungs", []), strict=False))
        if trial.get("step", 0) > (points[-1][0] if points else 0):
            points.append((trial["step"], trial["value"]))
        lines.append((trial, points))
    steps = [step for _, points in lines for step, _ in points]
    values = [value for _, points in lines for _, value in points]
    low, high = min(steps, default=1), max(steps, default=10)
    panel = _Panel(left, (low * 0.9, max(high, low + 1) * 1.1), _span(values), log=True)
    marks = sorted({rung for trial in trials for rung in find_rungs(pruning, trial["number"]) if low <= rung <= high})
    yield from _draw_axes(panel, "step", "", [*marks, high])
    for trial, points in lines:
        placed = [panel.place(*point) for point in points]
        if placed:
            yield _polyline(placed, _color(trial), width=1.2)
            yield _circle(placed[-1], trial)


def _draw_axes(panel: _Panel, below: str, beside: str, marks: Sequence[int]) -> Iterator[str]:
    bottom = _TOP + _HEIGHT
    yield (f'<rect x="{panel.left:g}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999999"/>')
    for mark in marks:
        x, _ = panel.place(mark, panel.ys[0])
        yield _text(x, bottom + 16, str(mark), anchor="middle")
    for tick in range(_TICKS):
        value = panel.ys[0] + (panel.ys[1] - panel.ys[0]) * tick / (_TICKS - 1)
        _, y = panel.place(panel.xs[0], value)
        yield _text(panel.left - 6, y + 4, f"{value:.4g}", anchor="end")
        yield f'<line x1="{panel.left:g}" x2="{panel.left + _WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eeeeee"/>'
    yield _text(panel.left + _WIDTH / 2, bottom + 34, below, anchor="middle")
    yield _text(panel.left, _TOP - 8, beside)


def _draw_legend(trials: Sequence[Object]) -> Iterator[str]:
    x = float(_LEFT)
    for state in sorted({trial["state"] for trial in trials}):
        yield _circle((x + 5, _TOP + _HEIGHT + 56), {"state": state})
        yield _text(x + 14, _TOP + _HEIGHT + 60, state)
        x += 90


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the values' range with a margin; never an empty one."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = (high - low) * 0.06 or abs(low) * 0.1 or 1.0
    return low - margin, high + margin


def _color(trial: Object) -> str:
    return _COLORS.get(trial["state"], "#888888")


def _circle(place: Point, trial: Object) -> str:
    parameters = "".join(f", {name} {value}" for name, value in trial.get("parameters", {}).items())
    title = f"trial {trial['number']}: {trial['value']:.6g}{parameters}" if "number" in trial else trial["state"]
    x, y = place
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_color(trial)}"><title>{_escape(title)}</title></circle>'


def _polyline(points: Sequence[Point], color: str, width: float = 1.6) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{_escape(text)}</text>'


def _escape(text: str) -> str:
    return escape(plain(text))
