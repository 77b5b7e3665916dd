"""What each picture of a table shows: a function a kind, which fills a matplotlib figure.

Series differ by markers, dashes or hatches too, not by colour alone; the colours are Okabe and
Ito's, and viridis. Each function returns what the picture shows in words.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import InputError
from .table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
MARKERS = "os^Dv*P"
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))  # 7 and 5: 35 series before two look alike
HATCHES = ("", "///", "...", "\\\\\\", "xxx")
WIDTH = 3.3  # inches: a column of a paper
LINE = 46  # characters of a legend's line at that width
PANELS = ("loss", "HR@10", "NDCG@10")  # of learning curves
FIGURES = {"hr": "HR@10", "ndcg": "NDCG@10"}
MOST_MARKERS = 12  # on a line


class Series(NamedTuple):
    """How the n-th series looks."""

    color: str
    marker: str
    dash: str | tuple

    @classmethod
    def of(cls, n: int) -> Series:
        """The look number n."""
        return cls(COLORS[n % len(COLORS)], MARKERS[n % len(MARKERS)], DASHES[n % len(DASHES)])


# ---- lines ---------------------------------------------------------------------------------------


def curves(figure: Figure, table: Table) -> str:
    """Loss, HR@10 and NDCG@10 by epoch, a line a run; figures of validation items are hollow."""
    found = defaultdict(list)
    for one in table.records():
        kind, _, name = one["metric"].rpartition(".")
        if name in PANELS and kind in ("", "val") and _is_there(one["value"]):
            found[name, one["run"], kind].append((one["epoch"], one["value"]))
    runs = _distinct(table.column("run"))
    panels = [name for name in PANELS if any(name == key[0] for key in found)]
    if not panels:
        raise InputError(f"there is nothing to draw as curves: no metric is {', '.join(PANELS)}.")
    axes = _stack(figure, panels, 1.3)
    for name, one in zip(panels, axes, strict=True):
        for n, run in enumerate(runs):
            for kind in ("", "val"):
                points = sorted(found.get((name, run, kind), ()))
                if points:
                    _line(one, Series.of(n), points, _short(run), hollow=bool(kind))
        one.set_ylabel(name)
    if any(kind for _, _, kind in found):  # said once, not for each run
        axes[-1].plot([], [], "o", color="#666666", markerfacecolor="white", label="validation")
    axes[-1].set_xlabel("epoch")
    axes[-1].locator_params(axis="x", integer=True)
    _legend(figure, axes)
    return f"{_listed(panels)} by epoch of {_listed(runs)}."


def hist(figure: Figure, table: Table) -> str:
    """How many users have how many interactions, a line a behaviour."""
    behaviors = _distinct(table.column("behavior"))
    bins = _distinct((one["bin_lo"], one["bin_hi"]) for one in table.records())
    places = {one: n for n, one in enumerate(bins)}
    (axes,) = _stack(figure, [""], 2.0)
    for n, behavior in enumerate(behaviors):
        points = [
            (places[one["bin_lo"], one["bin_hi"]], one["users"])
            for one in table.records()
            if one["behavior"] == behavior
        ]
        _line(axes, Series.of(n), points, behavior)
    axes.set_xticks(range(len(bins)), [_bin(*one) for one in bins], rotation=40, ha="right")
    axes.set_xlabel("train interactions of a user")
    axes.set_ylabel("users")
    axes.set_ylim(bottom=0)
    _legend(figure, [axes])
    return f"Users by their number of train interactions: {_listed(behaviors)}."


def groups(figure: Figure, table: Table) -> str:
    """HR@10 and NDCG@10 by group of users: a head's mean over seeds, in a band of all seeds."""
    names, heads = _distinct(table.column("group")), _distinct(table.column("head"))
    axes = _stack(figure, FIGURES, 1.7)
    for (column, figure_name), one in zip(FIGURES.items(), axes, strict=True):
        for n, head in enumerate(heads):
            found = defaultdict(list)
            for row in table.records():
                if row["head"] == head and _is_there(row[column]):
                    found[names.index(row["group"])].append(row[column])
            points = sorted((place, float(np.mean(values))) for place, values in found.items())
            if not points:
                continue
            look, across = Series.of(n), [place for place, _ in points]
            low, high = ([end(found[place]) for place in across] for end in (min, max))
            one.fill_between(across, low, high, color=look.color, alpha=0.2, linewidth=0)
            _line(one, look, points, head)
        one.set_ylabel(figure_name)
        one.set_xticks(range(len(names)))
    axes[0].tick_params(labelbottom=False)
    about = {row["group"]: row for row in table.records()}
    axes[-1].set_xticklabels([_group(name, about[name]["rho_mean"]) for name in names])
    axes[-1].set_xlabel("group, mean correlation ρ of its users")
    _legend(figure, axes)
    return f"HR@10 and NDCG@10 by group of users: {_listed(heads)}; mean and range over seeds."


def _line(
    axes: Axes, look: Series, points: Sequence[tuple], label: str, hollow: bool = False
) -> None:
    x, y = zip(*points, strict=True)
    axes.plot(
        x,
        y,
        color=look.color,
        linestyle=look.dash,
        marker=look.marker,
        markevery=max(1, math.ceil(len(points) / MOST_MARKERS)),
        markerfacecolor="white" if hollow else look.color,
        label=label,
    )


# ---- bars ----------------------------------------------------------------------------------------


def gates(figure: Figure, table: Table) -> str:
    """Each expert's weight with one standard deviation, and how much of a score it makes."""
    models = _distinct(table.column("model"))
    rows = [(models.index(one["model"]), one) for one in table.records()]
    places = [-(n + 0.5 * number) for n, (number, _) in enumerate(rows)]  # from the top down
    figure.set_size_inches(WIDTH, 0.8 + 0.19 * (len(rows) + 0.5 * len(models)))
    weights, terms = figure.subplots(1, 2, sharey=True)
    for number, model in enumerate(models):
        own = [(y, one) for y, (n, one) in zip(places, rows, strict=True) if n == number]
        weights.barh(
            [y for y, _ in own],
            [one["mean"] for _, one in own],
            xerr=[one["std"] for _, one in own],
            height=0.75,
            color=COLORS[number % len(COLORS)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
            error_kw={"linewidth": 0.8, "capsize": 1.5},
            label=f"{_short(model, 28)}, entropy {own[0][1]['entropy']:.2f}",
        )
        known = [(one["mean_term"], y) for y, one in own if _is_there(one["mean_term"])]
        look = Series.of(number)
        terms.plot(*zip(*known, strict=True) if known else ([], []), look.marker, color=look.color)
    weights.set_yticks(places, [one["expert_name"] for _, one in rows])
    weights.tick_params(axis="y", length=0)
    weights.set_ylim(min(places) - 0.6, max(places) + 0.6)
    weights.set_xlim(0, 1)
    weights.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    weights.set_xlabel("gate weight")
    terms.set_xlabel("mean |g·q|")
    terms.tick_params(axis="y", length=0, labelleft=False)
    sizes = [one["mean_term"] for _, one in rows if one["mean_term"]]
    if sizes and max(sizes) > 30 * min(sizes):
        terms.set_xscale("log")
        terms.set_xlim(min(sizes) / 3, max(sizes) * 3)
        terms.locator_params(axis="x", numticks=4)
    else:
        terms.set_xlim(left=0, right=1.15 * max(sizes, default=1))
        terms.locator_params(axis="x", nbins=3)
    for one in (weights, terms):
        one.grid(axis="y", visible=False)
    _legend(figure, [weights])
    return (
        f"Mean weight of each expert under the target's gate of {_listed(models)}, with one "
        "standard deviation, and the mean size of its part of a score."
    )


# ---- maps ----------------------------------------------------------------------------------------


def layers(figure: Figure, table: Table) -> str:
    """The best figure over lb for each (lv, lc), and in the cell the lb that has it."""
    across, up = sorted(set(table.column("lc"))), sorted(set(table.column("lv")))
    figure.set_size_inches(WIDTH, 2.35)
    axes = figure.subplots(1, 2, sharey=True)
    words = []
    for (column, name), one in zip(FIGURES.items(), axes, strict=True):
        found = _over_seeds(table, ("lv", "lc", "lb"), column)
        best = np.full((len(up), len(across)), np.nan)
        which = {}
        for (lv, lc, lb), value in sorted(found.items()):
            cell = up.index(lv), across.index(lc)
            if not best[cell] >= value:
                best[cell], which[cell] = value, lb
        mesh = one.pcolormesh(
            _edges(len(across)), _edges(len(up)), np.ma.masked_invalid(best), cmap="viridis"
        )
        for (y, x), lb in which.items():
            bright = mesh.norm(best[y, x]) > 0.6
            one.text(x, y, lb, ha="center", va="center", color="black" if bright else "white")
        one.set_xticks(range(len(across)), across)
        one.set_yticks(range(len(up)), up)
        one.set_xlabel("layers lc")
        one.set_aspect("equal")
        one.grid(visible=False)
        one.tick_params(length=0)
        _bar(figure, mesh, one, name, 3, orientation="horizontal")
        top = max(sorted(found), key=found.get)
        one.add_patch(_box((across.index(top[1]) - 0.5, up.index(top[0]) - 0.5)))
        words.append(f"{name} is best with {','.join(map(str, top))} layers")
    axes[0].set_ylabel("layers lv")
    return f"Best figure over lb by lv and lc, the best lb in the cell; {_listed(words)}."


def coefficients(figure: Figure, table: Table) -> str:
    """NDCG@10 over the triangle of (l1, l2); l3 is what is left of 1."""
    found = _over_seeds(table, ("l1", "l2", "l3"), "ndcg")
    figure.set_size_inches(WIDTH, 2.6)
    axes = figure.subplots()
    points = np.array(sorted(found))
    values = np.array([found[one] for one in sorted(found)])
    drawn = axes.scatter(*points[:, :2].T, c=values, s=170, marker="h", cmap="viridis")
    untrained = points[:, 2] < 1e-9
    if untrained.any():
        axes.plot(*points[untrained, :2].T, "x", color="#D55E00", label="l3 = 0: no target loss")
    top = points[np.argmax(values)]
    look = {"markersize": 16, "markerfacecolor": "none", "markeredgewidth": 1.6}
    axes.plot(*top[:2, None], "o", color="black", label="best", **look)
    ticks = [n / 6 for n in range(7)]
    axes.set_xticks(ticks, map(_fraction, ticks))
    axes.set_yticks(ticks, map(_fraction, ticks))
    axes.set_xlabel("l1, first behaviour")
    axes.set_ylabel("l2, second behaviour")
    axes.set_aspect("equal")
    axes.margins(0.1)
    _bar(figure, drawn, axes, "NDCG@10", 5, shrink=0.8)
    axes.legend(loc="upper right", labelspacing=1.0, frameon=True, edgecolor="none")
    best = ", ".join(map(_fraction, top))
    return f"NDCG@10 by the weights l1 and l2 of the first two behaviours; best at ({best})."


def inheritance(figure: Figure, table: Table) -> str:
    """For users and items of each model: cosines of the behaviours' tables as a map, and below it
    what each table is made of, as a bar, with a mark at the share that was handed down to it.
    """
    found = {
        tuple(one[name] for name in ("model", "side", "metric", "row", "col")): one
        for one in table.records()
        if one["metric"] in ("cos", "inherit", "source")
    }
    if not found:
        raise InputError(
            "there is nothing to draw as inheritance: no metric is cos, inherit or source."
        )
    models, sides, _, behaviors, _ = (_distinct(each) for each in zip(*found, strict=True))
    sources = _distinct(col for *_, metric, _, col in found if metric == "source")
    map_height, bars_height = 0.3 + 0.2 * len(behaviors), 0.35 + 0.17 * len(behaviors)
    figure.set_size_inches(WIDTH, 0.2 + len(models) * (0.75 + map_height + bars_height))
    axes = figure.subplots(
        2 * len(models),
        len(sides),
        sharey=True,
        squeeze=False,
        height_ratios=(map_height, bars_height) * len(models),
    )
    lowest = min([0.0, *(one["mean"] for key, one in found.items() if key[2] == "cos")])
    for n, model in enumerate(models):
        maps, bars = axes[2 * n : 2 * n + 2]
        maps[0].set_title(_short(model), loc="left")
        for side, upper, lower in zip(sides, maps, bars, strict=True):
            own = {key[2:]: one for key, one in found.items() if key[:2] == (model, side)}
            _cosines(upper, own, behaviors, lowest)
            _shares(lower, own, behaviors, sources)
            upper.set_xlabel(f"cosine, {side}s")
            lower.set_xlabel(f"share, {side}s")
    _legend(figure, axes.flat)
    return (
        "Cosines of the behaviours' tables, the share of a table that each graph's messages make, "
        f"and the share that is handed down, of {_listed(f'{side}s' for side in sides)}: "
        f"{_listed(models)}."
    )


def _cosines(axes: Axes, own: dict[tuple, dict], behaviors: Sequence[str], lowest: float) -> None:
    values = np.array(
        [[own.get(("cos", a, b), {}).get("mean", np.nan) for b in behaviors] for a in behaviors]
    )
    edges = _edges(len(behaviors))
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(edges, edges, shown, cmap="viridis", vmin=lowest, vmax=1)
    for (y, x), value in np.ndenumerate(values):
        if _is_there(value):
            bright = mesh.norm(value) > 0.6
            look = {"color": "black" if bright else "white", "fontsize": 7}
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", **look)
    axes.set_xticks(range(len(behaviors)), behaviors)
    _rows(axes, behaviors)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False)


def _shares(
    axes: Axes, own: dict[tuple, dict], behaviors: Sequence[str], sources: Sequence[str]
) -> None:
    start = np.zeros(len(behaviors))
    for n, source in enumerate(sources):
        sizes = [own.get(("source", one, source), {}).get("mean", 0.0) for one in behaviors]
        axes.barh(
            range(len(behaviors)),
            sizes,
            left=start,
            height=0.75,
            color=COLORS[n % len(COLORS)],
            hatch=HATCHES[n % len(HATCHES)],
            edgecolor="white",
            label=source,
        )
        start = start + sizes
    handed = [
        (y, own["inherit", one, None])
        for y, one in enumerate(behaviors)
        if ("inherit", one, None) in own
    ]
    if handed:
        axes.errorbar(
            [one["mean"] for _, one in handed],
            [y for y, _ in handed],
            xerr=[one["std"] for _, one in handed],
            fmt="D",
            color="black",
            markeredgecolor="white",
            markersize=5,
            elinewidth=0.8,
            capsize=1.5,
            label="handed down",
        )
    axes.set_xlim(0, 1.08)  # what is handed down is often almost all: its mark stays whole
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    _rows(axes, behaviors)
    axes.grid(axis="y", visible=False)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """A row a name, from the top down."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _over_seeds(table: Table, keys: Sequence[str], column: str) -> dict[tuple, float]:
    """The mean of a column over all rows with the same keys."""
    found = defaultdict(list)
    for one in table.records():
        if _is_there(one[column]):
            found[tuple(one[key] for key in keys)].append(one[column])
    if not found:
        raise InputError(f"there is nothing to draw: column {column!r} has no number.")
    return {key: float(np.mean(values)) for key, values in found.items()}


def _bar(figure: Figure, drawn, axes: Axes, name: str, ticks: int, **how) -> None:
    """What the colours mean, as shapes: matplotlib would put a grid of pixels into an SVG."""
    bar = figure.colorbar(drawn, ax=axes, label=name, **how)
    bar.solids.set(rasterized=False, edgecolor="face")
    bar.ax.locator_params(nbins=ticks)


def _box(corner: tuple[float, float]):
    """The outline of the best cell."""
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, fill=False, edgecolor=COLORS[1], linewidth=1.6, clip_on=False)


def _edges(count: int) -> np.ndarray:
    return np.arange(count + 1) - 0.5


# ---- words ---------------------------------------------------------------------------------------


def _stack(figure: Figure, panels: Sequence[str] | dict, height: float) -> list[Axes]:
    """Axes above one another, of this height in inches each, with one x axis."""
    figure.set_size_inches(WIDTH, 0.75 + height * len(panels))
    return list(figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0])


def _legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """Below everything: each label once, in as many columns as fit; none for a single series."""
    found = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if len(found) > 1 or any("," in label for label in found):
        columns = max(1, min(len(found), LINE // (max(map(len, found)) + 6)))
        figure.set_figheight(figure.get_figheight() + 0.16 * math.ceil(len(found) / columns))
        figure.legend(found.values(), found, loc="outside lower center", ncols=columns)


def _is_there(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _distinct(values: Iterable) -> list:
    return list(dict.fromkeys(values))


def _short(name: str, most: int = 34) -> str:
    """The end of a long name, which is what tells runs apart."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _bin(low: float, high: float) -> str:
    """Whole numbers of a half-open bin.

    >>> _bin(5, 10), _bin(0, 1), _bin(500, math.inf)
    ('5–9', '0', '500+')
    """
    if math.isinf(high):
        return f"{low:g}+"
    return f"{low:g}" if high - low == 1 else f"{low:g}–{high - 1:g}"


def _group(name: str, rho: float | None) -> str:
    return name if rho is None else f"{name}\n{rho:.2f}"


def _fraction(value: float) -> str:
    """Sixths as fractions, other numbers as they are.

    >>> _fraction(4 / 6), _fraction(1.0), _fraction(0.25)
    ('4/6', '1', '0.25')
    """
    sixths = round(6 * value)
    if abs(6 * value - sixths) > 1e-6:
        return f"{value:g}"
    return f"{sixths // 6}" if sixths % 6 == 0 else f"{sixths}/6"


def _listed(words: Iterable[str]) -> str:
    words = [str(one) for one in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
