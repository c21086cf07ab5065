"""A plot of profiles: accuracy against latency and size, as SVG."""

import math
from collections.abc import Callable, Sequence
from html import escape

from .profiles import Profile, find_front

_WIDTH, _HEIGHT = 560, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 48, 56
_FRONT, _OTHER = "#0b5cad", "#9aa5b1"
_STYLE = "text{font:12px sans-serif;fill:#1f2933}.title{font-size:14px;font-weight:bold}.tick{text-anchor:middle}"
_STEPS = (1, 2, 5)


def build_plot(profiles: Sequence[Profile]) -> str:
    """Return two plots beside each other; those of the front are blue."""
    panels = (
        _build_panel("Accuracy and median latency", "ms, one example", profiles, lambda each: each.p50 * 1000, 0),
        _build_panel("Accuracy and size", "kB", profiles, lambda each: each.bytes / 1000, _WIDTH),
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * _WIDTH}" height="{_HEIGHT}">'
    return f'{head}<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'


def _build_panel(
    title: str, unit: str, profiles: Sequence[Profile], read: Callable[[Profile], float], start: int
) -> str:
    """Return one plot, whose horizontal axis is logarithmic."""
    values = [read(each) for each in profiles]
    low, high = min(values) / 1.3, max(values) * 1.6
    worst, best = min(each.accuracy for each in profiles), max(each.accuracy for each in profiles)
    floor, ceiling = worst - max(0.005, (best - worst) * 0.15), best + max(0.005, (best - worst) * 0.15)

    def place_x(value: float) -> float:
        share = math.log(value / low) / math.log(high / low)
        return start + _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def place_y(accuracy: float) -> float:
        return _TOP + (ceiling - accuracy) / (ceiling - floor) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_write(start + _LEFT, 24, title, "title"), _write(start + _WIDTH - 120, _HEIGHT - 14, unit)]
    for value in _find_ticks(low, high):
        x = place_x(value)
        parts += [_draw(x, _TOP, x, _HEIGHT - _BOTTOM), _write(x, _HEIGHT - _BOTTOM + 18, f"{value:g}", "tick")]
    for step in range(5):
        accuracy = floor + (ceiling - floor) * step / 4
        y = place_y(accuracy)
        parts += [_draw(start + _LEFT, y, start + _WIDTH - _RIGHT, y), _write(start + 12, y + 4, f"{accuracy:.4f}")]
    return "".join([*parts, *_draw_points(profiles, lambda each: place_x(read(each)), place_y)])


def _draw_points(
    profiles: Sequence[Profile], place_x: Callable[[Profile], float], place_y: Callable[[float], float]
) -> list[str]:
    """Return points and names; of points of one height, the names stand on lines of their own."""
    front, rows = find_front(profiles), dict[int, int]()
    parts: list[str] = []
    points: list[tuple[bool, str]] = []
    for each in sorted(profiles, key=place_x):
        x, y = place_x(each), place_y(each.accuracy)
        color = _FRONT if each in front else _OTHER
        row = rows[round(y)] = rows.get(round(y), -1) + 1
        line = y + (1 if row % 2 else -1) * (16 + 14 * (row // 2))
        parts.append(_draw(x, y, x, line))
        points.append((each in front, f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>'))
        parts.append(_write(x + 4, line, f"{each.target} ({each.threads})"))
    # the front's last, so that no other one covers them
    return [*parts, *(circle for _, circle in sorted(points))]


def _find_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for step in _STEPS if low <= (tick := step * 10.0**power) <= high]


def _draw(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#e1e5ea"/>'


def _write(x: float, y: float, text: str, kind: str = "") -> str:
    chosen = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{chosen}>{escape(text)}</text>'
