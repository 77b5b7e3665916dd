"""Pictures hold what their tables say; what is looked at is the figure's data, not its pixels."""

from __future__ import annotations

import itertools
import math
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra plot")

from pkef_fast import InputError
from pkef_fast.analysis import (
    behavior_inheritance,
    curves,
    gates,
    interaction_counts,
    sweeps,
    user_groups,
)
from pkef_fast.data import generate
from pkef_fast.report import charts
from pkef_fast.report.drawing import KINDS, draw, figure_of
from pkef_fast.report.table import Table

SVG = "{http://www.w3.org/2000/svg}"


def table(kind, rows):
    return Table(tuple(KINDS[kind].columns), rows)


CURVES = table(
    "curves",
    [
        (run, epoch, metric, slope * factor * epoch)
        for run, slope in (("one", 1.0), ("two", 2.0))
        for epoch in (1, 2, 3)
        for metric, factor in (("loss", 1), ("val.HR@10", 0.1), ("loss.unique", 9))
    ],
)
GATES = table(
    "gates",
    [
        ("official", 1, "view", 0.1, 0.02, 0.5, 1e-6),
        ("official", 0, "buy", 0.9, 0.02, 0.5, 0.1),
        ("mmoe", 0, "expert 1", 0.6, 0.3, 0.69, 0.05),
        ("mmoe", 1, "expert 2", 0.4, 0.3, 0.69, None),
    ],
)
GROUPS = table(
    "groups",
    [
        (g, None, None, rho, 9, 70.0, head, seed, value + seed / 100, value / 2)
        for g, rho in (("1", 0.1), ("2", 0.3))
        for head, value in (("mmoe", 0.1), ("pme", 0.2))
        for seed in (1, 2, 3)
    ],
)
HIST = table(
    "hist",
    [
        (name, low, high, n)
        for name, users in (("view", (3, 5, 1)), ("buy", (9, 0, 0)))
        for (low, high), n in zip(((0, 1), (1, 5), (5, math.inf)), users, strict=True)
    ],
)
LAYERS = table(
    "layers",
    [
        (lv, lc, lb, seed, lv / 10 - lc / 100 - abs(lb - lc) / 1000 + seed / 1e4, lv / 20)
        for lv, lc, lb in itertools.product((1, 2, 3), repeat=3)
        for seed in (0, 1)
    ],
)
COEFFICIENTS = table(
    "coefficients",
    [(a / 6, b / 6, (6 - a - b) / 6, 1, 0.5, b / 10 - a / 9) for a in range(7) for b in range(6)],
)
COEFFICIENTS = table("coefficients", [row for row in COEFFICIENTS.rows if row[2] >= 0])
COSINES = {("view", "cart"): 0.9, ("view", "buy"): -0.2, ("cart", "buy"): 0.5}
SHARES = {"view": (0.6, 0.4), "cart": (0.3, 0.2, 0.5), "buy": (0.1, 0.2, 0.3, 0.4)}
INHERITANCE = table(
    "inheritance",
    [
        (model, metric, side, row, col, value * factor, 0.01)
        for model, factor in (("base", 1.0), ("official", 0.5))
        for side in ("user", "item")
        for metric, row, col, value in [
            *(
                ("cos", a, b, 1.0 if a == b else COSINES.get((a, b), COSINES.get((b, a))))
                for a in SHARES
                for b in SHARES
            ),
            ("inherit", "cart", None, 0.8),
            ("inherit", "buy", None, 0.7),
            *(
                ("source", name, col, value)
                for name, shares in SHARES.items()
                for col, value in zip(("embedding", *SHARES), shares, strict=False)
            ),
        ]
    ],
)
TABLES = {
    "curves": CURVES,
    "gates": GATES,
    "groups": GROUPS,
    "hist": HIST,
    "inheritance": INHERITANCE,
    "layers": LAYERS,
    "coefficients": COEFFICIENTS,
}
EVERY = pytest.mark.parametrize("kind", TABLES)


def lines(axes):
    """{label: (x, y)} of the lines that show data."""
    return {
        one.get_label(): tuple(np.asarray(part, float) for part in one.get_data())
        for one in axes.lines
        if len(one.get_xdata())
    }


def test_every_kind_is_tested():
    assert set(TABLES) == set(KINDS)


def test_tables_of_analyses_can_be_drawn():
    for kind, columns in (
        ("curves", curves.COLUMNS),
        ("gates", gates.COLUMNS),
        ("groups", user_groups.COLUMNS),
        ("hist", interaction_counts.COUNTS),
        ("inheritance", behavior_inheritance.COLUMNS),
        ("layers", sweeps.LAYERS),
        ("coefficients", sweeps.COEFFICIENTS),
    ):
        assert tuple(KINDS[kind].columns) == columns


def test_curves_are_lines_by_run():
    figure, words = figure_of("curves", CURVES)
    loss, hits = figure.axes
    assert (loss.get_ylabel(), hits.get_ylabel()) == ("loss", "HR@10")
    for axes, factor in ((loss, 1), (hits, 0.1)):
        found = lines(axes)
        assert set(found) == {"one", "two"}
        for run, value in (("one", 1), ("two", 2)):
            np.testing.assert_array_equal(found[run][0], [1, 2, 3])
            np.testing.assert_allclose(found[run][1], [value * factor * e for e in (1, 2, 3)])
    assert {one.get_markerfacecolor() for one in hits.lines} == {"white"}  # of validation
    assert "white" not in {one.get_markerfacecolor() for one in loss.lines}
    assert words == "loss and HR@10 by epoch of one and two."


def test_gates_are_bars_and_points():
    figure, _ = figure_of("gates", GATES)
    weights, terms = figure.axes
    bars = [bar.get_width() for one in weights.containers for bar in getattr(one, "patches", [])]
    assert bars == GATES.column("mean")
    assert [one.get_text() for one in weights.get_yticklabels()] == GATES.column("expert_name")
    heights = [bar.get_y() for one in weights.containers for bar in getattr(one, "patches", [])]
    assert heights == sorted(heights, reverse=True)  # from the top down, as in the table
    ends = [tuple(seg[:, 0]) for one in weights.collections for seg in one.get_segments()]
    intervals = [(row[3] - row[4], row[3] + row[4]) for row in GATES.rows]
    np.testing.assert_allclose(ends, intervals)
    sizes = np.concatenate([one.get_xdata() for one in terms.lines])
    np.testing.assert_array_equal(sizes, [1e-6, 0.1, 0.05])
    assert terms.get_xscale() == "log"
    assert [one.get_text() for one in figure.legends[0].texts] == [
        "official, entropy 0.50",
        "mmoe, entropy 0.69",
    ]


def test_groups_are_means_in_bands_of_all_seeds():
    figure, _ = figure_of("groups", GROUPS)
    hits, gains = figure.axes
    for head, value in (("mmoe", 0.1), ("pme", 0.2)):
        np.testing.assert_allclose(lines(hits)[head][1], [value + 0.02] * 2)
        np.testing.assert_allclose(lines(gains)[head][1], [value / 2] * 2)
    for band, value in zip(hits.collections, (0.1, 0.2), strict=True):
        y = band.get_paths()[0].vertices[:, 1]
        assert (y.min(), y.max()) == pytest.approx((value + 0.01, value + 0.03))
    assert [one.get_text() for one in gains.get_xticklabels()] == ["1\n0.10", "2\n0.30"]


def test_hist_is_a_line_a_behaviour():
    figure, _ = figure_of("hist", HIST)
    (axes,) = figure.axes
    found = lines(axes)
    np.testing.assert_array_equal(found["view"], ([0, 1, 2], [3, 5, 1]))
    np.testing.assert_array_equal(found["buy"], ([0, 1, 2], [9, 0, 0]))
    assert [one.get_text() for one in axes.get_xticklabels()] == ["0", "1–4", "5+"]


def test_inheritance_is_a_map_and_bars_of_each_model_and_side():
    figure, words = figure_of("inheritance", INHERITANCE)
    names = list(SHARES)
    assert [one.get_xlabel() for one in figure.axes] == [
        "cosine, users",
        "cosine, items",
        "share, users",
        "share, items",
    ] * 2
    assert [one.get_title(loc="left") for one in figure.axes[::4]] == ["base", "official"]
    for n, axes in enumerate(figure.axes):
        factor = (1.0, 0.5)[n // 4]
        if n % 2 == 0:  # the right ones have the same rows
            assert [one.get_text() for one in axes.get_yticklabels()] == names
        assert axes.yaxis_inverted()  # from the top down, as in the table
        if n % 4 < 2:
            (mesh,) = (one for one in axes.collections if hasattr(one, "get_coordinates"))
            wanted = np.array([[1, 0.9, -0.2], [0.9, 1, 0.5], [-0.2, 0.5, 1]]) * factor
            np.testing.assert_allclose(mesh.get_array(), wanted)
            assert (mesh.norm.vmin, mesh.norm.vmax) == (-0.2, 1)  # alike in all maps
            said = {one.get_position(): one.get_text() for one in axes.texts}
            assert said == {(x, y): f"{wanted[y, x]:.2f}" for x in range(3) for y in range(3)}
            continue
        for k, name in enumerate(names):
            bars = [one[k] for one in axes.containers if hasattr(one, "patches")]
            shares = np.zeros(4)
            shares[: k + 2] = np.array(SHARES[name]) * factor
            np.testing.assert_allclose([one.get_width() for one in bars], shares)
            np.testing.assert_allclose(
                [one.get_x() for one in bars], np.cumsum(shares) - shares, atol=1e-12
            )
        marks = next(one for one in axes.lines if one.get_marker() == "D")
        np.testing.assert_allclose(
            np.array(marks.get_data(), float), [[0.8 * factor, 0.7 * factor], [1, 2]]
        )
    legend = [one.get_text() for one in figure.legends[0].texts]
    assert legend == ["embedding", *names, "handed down"]
    assert words.endswith("of users and items: base and official.")


def test_inheritance_of_one_behavior_or_of_some_measures_can_be_drawn():
    rows = [("one", "cos", "user", "buy", "buy", 1.0, 0.0)]
    figure, _ = figure_of("inheritance", table("inheritance", rows))
    assert len(figure.axes) == 2
    rows += [("one", "source", "user", "buy", "embedding", 0.3, 0.0)]
    figure, _ = figure_of("inheritance", table("inheritance", rows))
    assert [one.get_width() for one in figure.axes[1].patches] == [0.3]


def test_layers_are_the_best_over_the_targets():
    figure, words = figure_of("layers", LAYERS)
    hits = figure.axes[0]
    (mesh,) = (one for one in hits.collections if hasattr(one, "get_coordinates"))
    wanted = [[lv / 10 - lc / 100 + 0.5e-4 for lc in (1, 2, 3)] for lv in (1, 2, 3)]
    np.testing.assert_allclose(mesh.get_array(), wanted)
    cells = {tuple(int(x) for x in one.get_position()): one.get_text() for one in hits.texts}
    assert cells == {(x, y): str(x + 1) for x in range(3) for y in range(3)}  # best: lb = lc
    (box,) = hits.patches
    assert box.get_xy() == (-0.5, 1.5)  # lc = 1, lv = 3
    assert "HR@10 is best with 3,1,1 layers" in words


def test_a_cell_without_a_run_is_empty():
    rows = [row for row in LAYERS.rows if row[:2] != (2, 2)]
    rows.append((2, 2, 1, 0, None, math.nan))
    figure, _ = figure_of("layers", table("layers", rows))
    for axes in figure.axes[:2]:
        (mesh,) = (one for one in axes.collections if hasattr(one, "get_coordinates"))
        wanted = [[False] * 3, [False, True, False], [False] * 3]
        assert np.ma.getmaskarray(mesh.get_array()).tolist() == wanted
        assert len(axes.texts) == 8


def test_coefficients_are_points_of_a_triangle():
    figure, words = figure_of("coefficients", COEFFICIENTS)
    axes = figure.axes[0]
    (points,) = axes.collections
    order = sorted(COEFFICIENTS.rows)
    np.testing.assert_allclose(points.get_offsets(), [row[:2] for row in order])
    np.testing.assert_allclose(points.get_array(), [row[5] for row in order])
    found = lines(axes)
    np.testing.assert_allclose(found["best"], ([0], [5 / 6]))
    crossed = set(zip(*np.round(found["l3 = 0: no target loss"], 9), strict=True))
    assert crossed == {tuple(np.round(row[:2], 9)) for row in order if row[2] == 0}
    assert words.endswith("best at (0, 5/6, 1/6).")


def test_a_value_is_the_mean_over_seeds():
    rows = [(0, 1, 0, seed, 0.1, value) for seed, value in ((1, 0.2), (2, 0.4), (3, None))]
    figure, _ = figure_of("coefficients", table("coefficients", rows))
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), [0.3])


def test_series_differ_without_colour():
    looks = [charts.Series.of(n) for n in range(35)]
    assert len({(one.marker, one.dash) for one in looks}) == 35
    assert len({(one.color, one.dash) for one in looks}) == 35
    assert len(set(charts.HATCHES)) == len(charts.HATCHES)


@EVERY
def test_a_picture_is_a_columns_width_and_its_text_is_inside(kind):
    figure, _ = figure_of(kind, TABLES[kind])
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    assert figure.get_figwidth() == charts.WIDTH
    texts = [one for axes in figure.axes for one in (axes.xaxis.label, axes.yaxis.label)]
    texts += [text for legend in figure.legends for text in legend.texts]
    shown = [one for one in texts if one.get_text()]
    assert len(shown) >= 2
    for one in shown:
        box = one.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0, one
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, one
        assert one.get_fontsize() >= 7


@EVERY
def test_files_are_the_same_each_time_also_from_the_csv_and_say_what_they_show(kind, tmp_path):
    TABLES[kind].write(tmp_path / "t.csv")
    again = Table.read(tmp_path / "t.csv", KINDS[kind].columns)
    for suffix in ("svg", "png"):
        paths = [tmp_path / f"{n}.{suffix}" for n in "ab"]
        for path, found in zip(paths, (TABLES[kind], again), strict=True):
            draw(kind, found, path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    _, words = figure_of(kind, TABLES[kind])
    png = paths[0].read_bytes()
    assert png.startswith(b"\x89PNG")
    assert KINDS[kind].title.encode() in png and b"Description" in png
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert root.find(f"{SVG}title").text == KINDS[kind].title
    said = "".join(root.find(f"{SVG}metadata").itertext())
    assert words in said and "date" not in said
    assert len(list(root.iter(f"{SVG}text"))) > 5  # text, no outlines of letters
    assert not list(root.iter(f"{SVG}image"))


def test_a_long_run_is_named_by_its_end(tmp_path):
    name = "runs/of/a/long/study/" * 4 + "seed-7"
    rows = [(name, 1, "loss", 1.0), ("short", 1, "loss", 2.0)]
    figure, _ = figure_of("curves", table("curves", rows))
    first = figure.legends[0].texts[0].get_text()
    assert first.startswith("…") and first.endswith("seed-7") and len(first) == 34


def test_interactions_of_a_shop_can_be_drawn():
    data = generate(n_users=40, n_items=30, seed=1)
    figure, _ = figure_of("hist", interaction_counts.counts(data))
    for behavior, csr in zip(data.behaviors, data.interactions, strict=True):
        users = lines(figure.axes[0])[behavior][1]
        assert users.sum() == data.n_users
        assert users[1] == np.count_nonzero((np.diff(csr.indptr) > 0) & (np.diff(csr.indptr) < 5))


BAD = [
    ("layer", LAYERS, "x.svg", "picture 'layer' is unknown; did you mean 'layers'?"),
    ("layers", HIST, "x.svg", "cannot be drawn as layers; wanted the columns lv, lc, lb, seed"),
    ("hist", table("hist", []), "x.svg", "nothing to draw as hist: the table has no rows"),
    ("hist", HIST, "x.pdf", "x.pdf cannot be drawn; wanted a name that ends in .png or .svg"),
    ("hist", table("hist", [("buy", 0, 1, None)]), "x.svg", "row 1 .* it has no 'users'"),
    ("curves", table("curves", [("r", 1, "MRR", 1.0)]), "x.svg", "no metric is loss, HR@10"),
    ("layers", table("layers", [(1, 1, 1, 0, None, None)]), "x.png", "column 'hr' has no number"),
    (
        "inheritance",
        table("inheritance", [("m", "sin", "user", "buy", "buy", 1.0, 0.0)]),
        "x.svg",
        "no metric is cos, inherit or source",
    ),
]


@pytest.mark.parametrize(("kind", "found", "name", "words"), BAD, ids=[one[3] for one in BAD])
def test_what_cannot_be_drawn_is_refused(kind, found, name, words, tmp_path):
    with pytest.raises(InputError, match=words):
        draw(kind, found, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    for name in [one for one in sys.modules if one.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'pkef-fast\[plot\]'"):
        draw("hist", HIST, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
