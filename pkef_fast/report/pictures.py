"""Small pictures as SVG text, in the colours of the page: lines, and values with their intervals.

Series differ by dashes too, not by colour alone. Each picture says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .markup import Markup, joined, tag

WIDTH = 400  # of the picture's own units: about a phone's pixels, so that its text stays readable
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 230, 52, 12, 12, 58  # of lines
ROW, LABEL = 24, 164  # of intervals
DASHES = (None, "6 3", "2 3", "9 3 2 3")
COLORS = len(DASHES)
Points = Sequence[tuple[float, float]]


class Interval(NamedTuple):
    """A value by name; without `low` and `high` a mark alone."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that span the range from low to high: at least two, about `count`.

    >>> ticks(0.0, 0.13)
    [0.0, 0.05, 0.1, 0.15]
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * one for one in (1, 2, 5, 10) if unit * one >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [round(step * n, 12) for n in range(first, last + 1)]


def lines(series: Mapping[str, Points], x_name: str, words: str) -> Markup:
    """Lines through points; `words` say what they show.

    Points that are not finite are left out, and so are series without any.
    """
    found = {
        name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()
    }
    found = {name: points for name, points in found.items() if points}
    xs = [x for points in found.values() for x, _ in points] or [0.0]
    ys = [y for points in found.values() for _, y in points] or [0.0]
    across, up = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return (
            LEFT + width * (x - across[0]) / (across[-1] - across[0]),
            TOP + height * (up[-1] - y) / (up[-1] - up[0]),
        )

    parts = []
    for y in up:
        _, level = place(across[0], y)
        parts.append(
            tag("line", class_="axis", x1=LEFT, x2=WIDTH - RIGHT, y1=_n(level), y2=_n(level))
        )
        parts.append(_text(f"{y:g}", LEFT - 6, level + 4, "end", "quiet"))
    for x in across:
        middle, bottom = place(x, up[0])
        parts.append(_text(f"{x:g}", middle, bottom + 16, "middle", "quiet"))
    for number, (name, points) in enumerate(found.items()):
        drawn = [place(*one) for one in points]
        parts.append(
            tag(
                "polyline",
                points=" ".join(f"{_n(x)},{_n(y)}" for x, y in drawn),
                fill="none",
                stroke=_color(number),
                stroke_width=2,
                stroke_dasharray=DASHES[number % COLORS],
            )
        )
        if len(drawn) <= 40:  # a mark where something was measured
            parts += [
                tag("circle", cx=_n(x), cy=_n(y), r=2.5, fill=_color(number)) for x, y in drawn
            ]
        if len(found) == 1:
            break  # the caption says what it is
        left = LEFT + (WIDTH - LEFT) / max(len(found), 2) * number
        parts.append(
            tag(
                "line",
                x1=_n(left),
                x2=_n(left + 22),
                y1=HEIGHT - 8,
                y2=HEIGHT - 8,
                stroke=_color(number),
                stroke_width=2,
                stroke_dasharray=DASHES[number % COLORS],
            )
        )
        parts.append(_text(name, left + 28, HEIGHT - 4))
    parts.append(_text(x_name, WIDTH - RIGHT, HEIGHT - 26, "end", "quiet"))
    return _picture(parts, HEIGHT, words)


def intervals(rows: Sequence[Interval], words: str) -> Markup:
    """A mark for each value on one axis from zero, with a bar over its interval."""
    rows = [one for one in rows if math.isfinite(one.value)]
    ends = [value for one in rows for value in (one.value, one.low, one.high) if value is not None]
    across = ticks(min(0.0, *ends), max(ends)) if ends else [0.0, 1.0]
    height = ROW * len(rows) + 26

    def place(value: float) -> float:
        share = (value - across[0]) / (across[-1] - across[0])
        return LABEL + (WIDTH - LABEL - 24) * share

    parts = []
    for value in across:
        x = _n(place(value))
        parts.append(tag("line", class_="axis", x1=x, x2=x, y1=4, y2=height - 20))
        parts.append(_text(f"{value:g}", place(value), height - 6, "middle", "quiet"))
    for number, one in enumerate(rows):
        y = ROW * number + ROW / 2 + 4
        parts.append(_text(_short(one.name), LABEL - 8, y + 4, "end"))
        if one.low is not None and one.high is not None:
            parts.append(
                tag(
                    "line",
                    x1=_n(place(one.low)),
                    x2=_n(place(one.high)),
                    y1=_n(y),
                    y2=_n(y),
                    stroke=_color(0),
                    stroke_width=3,
                )
            )
        parts.append(tag("circle", cx=_n(place(one.value)), cy=_n(y), r=3.5, fill=_color(0)))
    return _picture(parts, height, words)


def _picture(parts: Sequence[Markup], height: float, words: str) -> Markup:
    return tag(
        "svg", tag("title", words), joined(*parts), viewBox=f"0 0 {WIDTH} {_n(height)}", role="img"
    )


def _text(
    text: str, x: float, y: float, anchor: str | None = None, kind: str | None = None
) -> Markup:
    return tag("text", text, x=_n(x), y=_n(y), text_anchor=anchor, class_=kind)


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _color(number: int) -> str:
    return f"var(--s{number % COLORS})"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
