"""HTML by tags: whatever is plain text is escaped, so nothing of the data can become markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .table import Table

NUMBER = (int, float)
EMPTY = ("meta", "rect", "line", "circle", "path", "polyline")  # elements without content


class Markup(str):
    """Text that is markup already; `tag` escapes any other."""

    __slots__ = ()


def joined(*children: Any) -> Markup:
    """Markup as it is, and everything else as text."""
    return Markup(
        "".join(one if isinstance(one, Markup) else html.escape(str(one)) for one in children)
    )


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element.

    In names of attributes `_` stands for `-`, and one at the end for nothing: `class_`. Attributes
    that are None are left out.
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            key = key.rstrip("_").replace("_", "-")
            words.append(f'{key}="{html.escape(str(value))}"')
    start = f"<{' '.join(words)}"
    if name in EMPTY:
        return Markup(f"{start}/>")
    return Markup(f"{start}>{joined(*children)}</{name}>")


def table(found: Table, caption: str) -> Markup:
    """A table that scrolls in its own box where it is wider than the page."""
    numeric = [_numeric(found.column(name)) for name in found.columns]
    head = [
        tag("th", name, scope="col", class_="number" if right else None)
        for name, right in zip(found.columns, numeric, strict=True)
    ]
    rows = []
    for row in found.rows:
        first, *rest = (cell(value) for value in row)
        cells = [tag("th", first, scope="row")]
        for text, right in zip(rest, numeric[1:], strict=True):
            cells.append(tag("td", text, class_="number" if right else None))
        rows.append(tag("tr", *cells))
    inner = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows), aria_label=caption)
    # A box that scrolls is reached by the keyboard too.
    box = tag("div", inner, class_="box", tabindex=0, role="region", aria_label=caption)
    return joined(tag("p", caption, class_="caption"), box)


def _numeric(values: Sequence[Any]) -> bool:
    """Whether a column is of numbers, or of texts that are: 1.38, 16%."""
    found = [value for value in values if value is not None]
    return bool(found) and all(
        re.fullmatch(r"[\d,.–]+%?", value) if isinstance(value, str) else isinstance(value, NUMBER)
        for value in found
    )


def cell(value: Any) -> str:
    """A value for people: four decimals, thousands apart, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return "–" if value != value else f"{value:.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def items(texts: Iterable[Any]) -> Markup:
    """A list."""
    return tag("ul", *(tag("li", one) for one in texts))


def details(summary: str, *children: Any) -> Markup:
    """What is shown when it is asked for."""
    return tag("details", tag("summary", summary), *children)


STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --quiet: #5a6069; --page: #fdfdfc;
  --line: #d5d8dc; --box: #f2f3f4; --s0: #0072b2; --s1: #b35000; --s2: #00795a; --s3: #8f3d75; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e7e9; --quiet: #a3a9b1; --page: #16181b;
  --line: #3a3f45; --box: #202327; --s0: #62b5e8; --s1: #f0a04b; --s2: #4cc9a0; --s3: #dc93c4; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--page);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { margin-top: 3rem; font-size: 1.35rem;
  border-top: 2px solid var(--line); padding-top: 1rem; } h3 { margin: 2rem 0 .5rem;
  font-size: 1.1rem; } h4 { margin: 1.25rem 0 .25rem; font-size: 1rem; }
p, ul, ol { margin: .5rem 0; max-width: 46rem; } ul, ol { padding-left: 1.4rem; }
a { color: var(--s0); } .quiet { color: var(--quiet); }
.box { overflow-x: auto; margin: 0 0 1rem; } .box:focus-visible { outline: 2px solid var(--s0); }
table { border-collapse: collapse; font-size: .92rem; overflow-wrap: normal; }
.caption { color: var(--quiet); font-size: .92rem; margin: 1rem 0 .25rem; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); white-space: nowrap; font-weight: normal; }
thead th { font-weight: 600; } tbody th { white-space: normal; min-width: 7rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--box); padding: .75rem; overflow-x: auto; font-size: .85rem;
  overflow-wrap: normal; } summary { cursor: pointer; color: var(--s0); }
.pictures { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; } figcaption { color: var(--quiet); font-size: .9rem; margin-top: .4rem; }
svg { display: block; width: 100%; max-width: 34rem; height: auto;
  font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .quiet { fill: var(--quiet); }
svg .axis { stroke: var(--line); fill: none; }
"""


def document(title: str, *children: Any) -> str:
    """A whole page that needs no other file, and asks for none."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    body = tag("body", tag("main", *children))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
