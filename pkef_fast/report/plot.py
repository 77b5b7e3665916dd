"""The audit as a picture: an SVG file, written as text, so that no plotting library is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ..errors import InputError
from ..store.files import write_text

WIDTH, LABEL, BAR, ROW, HEAD = 760, 250, 430, 18, 34  # pixels
COLORS = ("#33658a", "#f6ae2d", "#758e4f")


def plot_audit(found: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw the pattern table and the rules' HR@10 of an audit.

    Raises
    ------
    InputError
        When the file is not to be an SVG, or cannot be written.
    """
    if Path(path).suffix.lower() != ".svg":
        raise InputError(f"{path} cannot be drawn; wanted a name that ends in .svg.")
    kinds = {name: found["distances"][name] for name in ("left_out_target", "left_out_all")}
    nearest = min(kinds, key=lambda name: 1.0 if kinds[name] is None else kinds[name])
    columns = ("train", nearest, "held_out")
    patterns = [
        (" + ".join(row["seen_in"]) or "nowhere else", [row[name] for name in columns])
        for row in found["patterns"]
    ]
    rules = [(name, [one["HR@10"]]) for name, one in found["rules"].items()]
    if found["best_list"] is not None:
        rules.append(("bound of one list for all", [found["best_list"]]))
    target = found["target"]
    panels = [
        (
            f"where a {target} item is visible",
            patterns,
            ("train", nearest.replace("_", " "), "held out"),
        ),
        ("HR@10 without learning", rules, ()),
    ]
    parts, top = [], 10
    for title, rows, legend in panels:
        drawn, top = _panel(title, rows, legend, top)
        parts += drawn
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="13">\n'
        f"<title>{escape(found['name'])}</title>\n"
        f'<rect width="{WIDTH}" height="{top}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
    write_text(path, text)


def _panel(
    title: str, rows: Sequence[tuple[str, list]], legend: Sequence[str], top: int
) -> tuple[list[str], int]:
    """Horizontal bars of shares from 0 to the largest; also where the next panel begins."""
    largest = max((v for _, values in rows for v in values if v is not None), default=0) or 1
    parts = [f'<text x="12" y="{top + 18}" font-weight="bold">{escape(title)}</text>']
    for place, name in enumerate(legend):
        x = LABEL + 140 * place
        parts.append(f'<rect x="{x}" y="{top + 8}" width="11" height="11" fill="{COLORS[place]}"/>')
        parts.append(f'<text x="{x + 16}" y="{top + 18}">{escape(name)}</text>')
    top += HEAD
    for name, values in rows:
        middle = top + ROW * len(values) / 2
        parts.append(
            f'<text x="{LABEL - 8}" y="{middle + 3:g}" text-anchor="end">{escape(name)}</text>'
        )
        for place, value in enumerate(values):
            y = top + ROW * place
            share = 0 if value is None else value
            parts.append(
                f'<rect x="{LABEL}" y="{y}" width="{BAR * share / largest:.1f}" '
                f'height="{ROW - 4}" fill="{COLORS[place]}"/>'
            )
            label = "–" if value is None else f"{value:.1%}"
            parts.append(
                f'<text x="{LABEL + BAR * share / largest + 6:.1f}" y="{y + 12}">{label}</text>'
            )
        top += ROW * len(values) + 8
    return parts, top + 12
