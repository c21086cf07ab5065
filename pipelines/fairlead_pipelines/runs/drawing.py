"""Draws a run as SVG: its tasks as a graph, and when each of them ran."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from fairlead_pipelines.runs.records import TaskRecord

COLORS = {
    "succeeded": "#2a7f3f", "failed": "#b3261e", "running": "#1f6feb", "skipped": "#8a949e", "waiting": "#8a949e",
}  # fmt: skip
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 170, 44, 44, 18
_ROW, _LABEL, _CHART = 24, 170, 520


def draw_graph(tasks: Mapping[str, TaskRecord]) -> str:
    """Return the tasks as a graph from left to right."""
    depths = _find_columns(tasks)
    columns: dict[int, list[str]] = {}
    for name, depth in depths.items():
        columns.setdefault(depth, []).append(name)
    places = {
        name: (depth * (_WIDTH + _GAP_X), row * (_HEIGHT + _GAP_Y))
        for depth, names in columns.items()
        for row, name in enumerate(names)
    }
    edges = [
        _draw_edge(places[parent], places[name])
        for name, task in tasks.items()
        for parent in task.parents
        if parent in places
    ]
    width = len(columns) * (_WIDTH + _GAP_X) - _GAP_X
    height = max(map(len, columns.values()), default=0) * (_HEIGHT + _GAP_Y)
    return _svg(width, height, "The tasks", [*edges, *(_draw_task(tasks[name], *places[name]) for name in places)])


def _find_columns(tasks: Mapping[str, TaskRecord]) -> dict[str, int]:
    """Return each task's column: after those that it waits for, and right before the first that waits for it."""
    depths: dict[str, int] = {}
    for name, task in tasks.items():  # parents come first
        depths[name] = 1 + max((depths.get(parent, -1) for parent in task.parents), default=-1)
    for name in reversed(list(tasks)):
        depths[name] = min((depths[each] - 1 for each in tasks if name in tasks[each].parents), default=depths[name])
    return depths


def draw_times(tasks: Sequence[TaskRecord], start: datetime) -> str:
    """Return when each task ran, one in a row."""
    spans = [
        (task, (task.started - start).total_seconds(), task.seconds)
        for task in tasks
        if task.started and task.seconds is not None
    ]
    rows, scale = [], _CHART / max((begin + seconds for _, begin, seconds in spans), default=1.0)
    for row, (task, begin, seconds) in enumerate(spans):
        left, width = _LABEL + scale * begin, max(scale * seconds, 1.0)
        y = row * _ROW
        rows.append(
            f'<text x="0" y="{y + 15}">{escape(task.name)}</text>'
            f'<rect x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="14" rx="3" fill="{COLORS[task.state]}"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 15}">{seconds:.1f} s</text>'
        )
    return _svg(_LABEL + _CHART + 70, len(rows) * _ROW, "When each task ran", rows)


def _draw_task(task: TaskRecord, x: float, y: float) -> str:
    took = f"{task.seconds:.1f} s" if task.seconds is not None else task.state
    name = task.name if len(task.name) <= 22 else f"{task.name[:21]}…"
    return (
        f"<g><title>{escape(task.name)}: {task.state}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" fill="#fff" stroke="{COLORS[task.state]}" '
        f'stroke-width="2"/><text x="{x + 12}" y="{y + 19}" font-weight="600">{escape(name)}</text>'
        f'<text x="{x + 12}" y="{y + 35}" fill="{COLORS[task.state]}">{took}</text></g>'
    )


def _draw_edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = (start[0] + _WIDTH, start[1] + _HEIGHT / 2), (end[0], end[1] + _HEIGHT / 2)
    middle = (x1 + x2) / 2
    path = f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
    return f'<path d="{path}" fill="none" stroke="#9aa7b2" stroke-width="1.5"/>'


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{label}" viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}" '
        f'style="max-width:{width + 4:.0f}px" font-size="12">{"".join(parts)}</svg>'
    )
