"""What the paper claims and what the runs show: holds, does not, or is within noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..analysis import user_groups
from ..report.table import Table
from ..store.files import write_text
from .experiments import PKEF, ROWS, Configuration, coefficient_grid, heads, layer_grid
from .figures import best_points
from .found import Found
from .runs import METRICS
from .tables import selection

LEVEL = 0.05  # of p
NDCG = METRICS[1]
HOLDS, NOT, NOISE = "holds", "does not hold", "within noise"
UNKNOWN = "no runs to say"


class Claim(NamedTuple):
    """A claim, the verdict on it, and the figures and test that say so."""

    claim: str
    verdict: str
    because: str


def claims(found: Found) -> list[Claim]:
    """Every claim, also those that there are no runs for yet."""
    rows = {**ROWS["table3"], **ROWS["table4"], **ROWS["table5"]}
    found_claims = [
        larger("PKF helps", "PKEF", "w/o PKF", rows, found),
        larger("PME helps", "PKEF", "w/o PME", rows, found),
        larger("projection is better than vanilla", "Projection", "Vanilla", rows, found),
        larger("vanilla is better than linear", "Vanilla", "Linear Trans.", rows, found),
        larger("linear is better than summation", "Linear Trans.", "Summation", rows, found),
    ]
    if len(found.data.behaviors) in (3, 4):
        layers = layer_grid(len(found.data.behaviors))
        coefficients = coefficient_grid(len(found.data.behaviors))
        found_claims += [
            optimum("4,1,1 are the best layers", (4, 1, 1), layers, found.grids),
            optimum("0,4/6,2/6 are the best coefficients", (0, 4, 2), coefficients, found.grids),
        ]
    return [*found_claims, *rising(found)]


def larger(claim: str, first: str, second: str, rows: dict, found: Found) -> Claim:
    """That row `first` has the larger NDCG@10."""
    names = (first, second)
    text = ", ".join(f"{name} {_figure(rows[name], found)}" for name in names)
    if any(not found.done(rows[name]) for name in names):
        return Claim(claim, UNKNOWN, text)
    test = found.difference(rows[first], rows[second], NDCG)
    if test is None:
        return Claim(claim, UNKNOWN, f"{text}; nothing is held out")
    return Claim(claim, _verdict(test.mean, test.p), f"{text}; {_words(test)}")


def optimum(claim: str, point: tuple, grid: dict[tuple, Configuration], found: Found) -> Claim:
    """That a point of a grid is better than the best other one.

    p is multiplied by the number of other points, of which the best was taken (Bonferroni).
    """
    points = best_points(grid, found)
    others = [one for one in points if one != point]
    if point not in points or not others:
        return Claim(claim, UNKNOWN, f"{len(points)} of {len(grid)} points have runs")
    best = others[0]
    text = (
        f"{len(points)} of {len(grid)} points; at {_point(point)} {_figure(grid[point], found)}, "
        f"at the best other, {_point(best)}, {_figure(grid[best], found)}"
    )
    test = found.difference(grid[point], grid[best], NDCG)
    if test is None:
        return Claim(claim, UNKNOWN, f"{text}; nothing is held out")
    p = min(1.0, test.p * len(others))
    words = f"{_words(test)}, {p:.4f} corrected for {len(others)} points"
    return Claim(claim, _verdict(test.mean, p), f"{text}; {words}")


def rising(found: Found) -> Iterator[Claim]:
    """That PME's NDCG@10 rises with the correlation of behaviours, and faster than other heads'."""
    names = (
        "PME rises with the correlation of behaviours",
        "PME rises faster than the other heads",
    )
    from scipy.stats import linregress

    pme = found.values(PKEF, NDCG)
    if pme is None:
        for name in names:
            yield Claim(name, UNKNOWN, "PME –")
        return
    group = np.zeros(found.data.n_users, np.int64)
    for number, users in enumerate(user_groups.by_correlation(found.data).users, 1):
        group[users] = number
    of_pair = group[found.data.test_users]
    inside = of_pair > 0
    others = {name: found.values(one, NDCG) for name, one in heads().items() if one != PKEF}
    there = {name: values for name, values in others.items() if values is not None}
    for name, values in zip(names, (pme, there), strict=True):
        if isinstance(values, dict):
            if not values:
                yield Claim(name, UNKNOWN, "no other head has a run")
                continue
            listed, values = ", ".join(values), pme - np.mean(list(values.values()), axis=0)
            text = f"slope of PME less the mean of {listed}"
        else:
            text = "slope of NDCG@10"
        if len(np.unique(of_pair[inside])) < 2:
            yield Claim(name, UNKNOWN, "fewer than two groups of users")
            continue
        fit = linregress(of_pair[inside], values[inside])
        p = 1.0 if np.isnan(fit.pvalue) else float(fit.pvalue)  # NaN: the values are all alike
        words = f"{text} over users, a group further: {fit.slope:+.4f} ± {fit.stderr:.4f}"
        yield Claim(name, _verdict(fit.slope, p), f"{words} (linear regression, p {p:.4f})")


def write(found: Found, folder: Path) -> Path:
    """Write claims.md."""
    made = claims(found)
    lines = [
        f"# What the paper claims, and what these runs show on {found.data.name}",
        "",
        f"A claim holds, or does not, where p is below {LEVEL} and the difference has the claimed "
        f"sign, or the other; else it is within noise. Differences are "
        "of NDCG@10, paired by user, of means over seeds: a bootstrap interval of 95 % and a "
        "two-sided randomisation test. The tests are over users: how far "
        "seeds differ is the ± beside a mean, which one seed does not have. "
        f"{selection(found)}",
        "",
    ]
    table = Table(("claim", "verdict", "because"), [tuple(one) for one in made])
    path = folder / "claims.md"
    write_text(path, "\n".join(lines) + "\n" + table.markdown())
    return path


def _verdict(mean: float, p: float) -> str:
    if p >= LEVEL:
        return NOISE
    return HOLDS if mean > 0 else NOT


def _figure(one: Configuration, found: Found) -> str:
    mean, sd = found.spread(one, NDCG)
    if mean is None:
        return "–"
    seeds = len(found.done(one))
    spread = f" ± {sd:.4f}" if sd is not None else ""
    return f"{mean:.4f}{spread} ({seeds} {'seed' if seeds == 1 else 'seeds'})"


def _words(test) -> str:
    return f"difference {test.mean:+.4f} ({test.low:+.4f} to {test.high:+.4f}), p {test.p:.4f}"


def _point(point: tuple) -> str:
    return ",".join(map(str, point))
