"""report/markup.py and pictures.py: what is data is text, and pictures say what they show."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from pkef_fast.report.markup import Markup, cell, document, joined, table, tag
from pkef_fast.report.pictures import DASHES, Interval, intervals, lines, ticks
from pkef_fast.report.table import Table

NASTY = "<script>alert('x')</script> & \"more\""


def test_text_is_escaped_and_markup_is_not():
    inner = tag("b", NASTY)
    assert inner == (
        "<b>&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;more&quot;</b>"
    )
    assert tag("p", inner) == f"<p>{inner}</p>"
    assert joined("<", Markup("<br/>"), 3) == "&lt;<br/>3"
    assert isinstance(joined(), Markup)


def test_attributes_are_escaped_and_named():
    assert tag("a", "x", href='#"><b>', class_="c", aria_label="y", id=None) == (
        '<a href="#&quot;&gt;&lt;b&gt;" class="c" aria-label="y">x</a>'
    )
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8"/>'


def test_a_table_has_headers_and_scrolls_in_its_box():
    found = Table(("who", "n", "share", NASTY), [(NASTY, 1200, "16%", None), ("b", 2, "9%", 0.25)])
    text = table(found, "a caption")
    assert "script>" not in text
    root = ET.fromstring(f"<r>{text}</r>")
    box = root.find("div")
    assert (box.get("class"), box.get("tabindex")) == ("box", "0")
    assert [one.get("scope") for one in root.iter("th")] == ["col"] * 4 + ["row"] * 2
    assert [one.text for one in root.iter("td")] == ["1,200", "16%", "–", "2", "9%", "0.2500"]
    assert all(one.get("class") == "number" for one in root.iter("td"))
    assert next(root.iter("p")).text == "a caption"


def test_cells_are_for_people():
    assert [cell(v) for v in (None, math.nan, 0.5, 1234567, True, "a")] == [
        "–",
        "–",
        "0.5000",
        "1,234,567",
        "True",
        "a",
    ]


def test_a_document_asks_for_nothing_outside():
    text = document(NASTY, tag("p", "x"))
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "default-src &#x27;none&#x27;" in text
    assert 'name="viewport"' in text
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"https?://|url\(|@import", text)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 0.13, [0.0, 0.05, 0.1, 0.15]),
        (0, 100, [0, 50, 100]),
        (3.0, 3.0, [3.0, 4.0]),
        (0.0, 0.0, [0.0, 0.5]),
        (-0.2, 0.9, [-0.5, 0.0, 0.5, 1.0]),
    ],
)
def test_ticks_are_round_and_span_the_range(low, high, wanted):
    found = ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert len(found) >= 2
    assert {*wanted[:1], *wanted[-1:]} <= {found[0], found[-1]} | set(found)


def points_of(line):
    return [tuple(map(float, one.split(","))) for one in line.get("points").split()]


def test_lines_are_where_the_data_are():
    series = {"a": [(1, 0.0), (2, 0.5), (3, 1.0)], NASTY: [(1, 1.0), (2, math.nan)], "none": []}
    root = ET.fromstring(lines(series, "epoch", f"a rises & {NASTY}"))
    assert root.get("role") == "img"
    assert root.find("title").text == f"a rises & {NASTY}"
    first, second = root.iter("polyline")
    (x0, y0), (x1, y1), (x2, y2) = points_of(first)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.1)
    assert y0 > y1 > y2
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert points_of(second) == [(x0, y2)]  # the same value at the same place; NaN has none
    assert (first.get("stroke-dasharray"), second.get("stroke-dasharray")) == DASHES[:2]
    assert first.get("stroke") != second.get("stroke")
    names = [one.text for one in root.iter("text")]
    assert "a" in names
    assert NASTY in names
    assert "none" not in names


def test_a_single_line_needs_no_legend_and_none_draws_no_line():
    root = ET.fromstring(lines({"loss": [(1, 2.0)]}, "epoch", "words"))
    assert "loss" not in [one.text for one in root.iter("text")]
    assert len(list(root.iter("circle"))) == 1
    assert not list(ET.fromstring(lines({}, "epoch", "words")).iter("polyline"))


def test_intervals_span_low_to_high_on_one_axis():
    rows = [Interval("x", 0.5, 0.25, 0.75), Interval("rule", 1.0), Interval("gone", math.nan)]
    root = ET.fromstring(intervals(rows, "words"))
    mark, rule = (float(one.get("cx")) for one in root.iter("circle"))
    (bar,) = (one for one in root.iter("line") if one.get("class") != "axis")
    low, high = float(bar.get("x1")), float(bar.get("x2"))
    assert mark == pytest.approx((low + high) / 2, abs=0.1)
    assert rule - mark == pytest.approx(high - low, abs=0.2)
    assert root.find("title").text == "words"
    assert ET.fromstring(intervals([], "nothing")).find("title").text == "nothing"
