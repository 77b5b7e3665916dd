"""What the paper claims and what the runs show: holds, does not, or is within noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..analysis import user_groups
from ..compare.significance import holm
from ..data.dataset import Array
from ..report.table import Table
from ..store.files import write_text
from .experiments import (
    BEST_LAYERS,
    BEST_SIXTHS,
    PKEF,
    ROWS,
    Configuration,
    coefficient_grid,
    heads,
    layer_grid,
)
from .figures import best_points
from .found import Contrast, Found
from .runs import METRICS
from .tables import selection

LEVEL = 0.05  # of p
NDCG = METRICS[1]
HOLDS, NOT, NOISE = "holds", "does not hold", "within noise"
UNKNOWN = "no runs to say"
# Claim → the row that is to be better, and the other.
PAIRS = {
    "PKF helps": ("PKEF", "w/o PKF"),
    "PKF helps without PME": ("w/o PME", "Base Model"),
    "PME helps": ("PKEF", "w/o PME"),
    "PME helps without PKF": ("w/o PKF", "Base Model"),
    "projection is better than vanilla": ("Projection", "Vanilla"),
    "vanilla is better than linear": ("Vanilla", "Linear Trans."),
    "linear is better than summation": ("Linear Trans.", "Summation"),
}
BEST_OF_ALL = "PKEF is better than the best other model"
BEST_IN_GROUPS = "PME is the best head in each group by correlation of behaviours"
RISES = "PME rises with the correlation of behaviours"
RISES_FASTER = "PME rises faster than the other heads"
RULE = (
    f"A claim holds where the difference in {NDCG} that it speaks of has its sign with p below "
    f"{LEVEL}, and at every seed that both sides have; it does not hold where the same is true of "
    "the other sign; else it is within noise. Differences are paired by user, of means over seeds: "
    "a bootstrap interval of 95 % and a two-sided randomisation test. The test is over users; of "
    "other seeds only the signs, and the ± beside a mean, tell. A claim of several comparisons "
    "takes p by Holm's rule, and holds where all of them do."
)


class Claim(NamedTuple):
    """A claim, the verdict on it, and the figures and test that say so."""

    claim: str
    verdict: str
    because: str


def claims(found: Found) -> list[Claim]:
    """Every claim, also those that there are no runs for yet."""
    rows = {**ROWS["table3"], **ROWS["table4"]}
    said = [best_of_all(found)]
    said += [larger(claim, *pair, rows, found) for claim, pair in PAIRS.items()]
    if len(found.data.behaviors) in (3, 4):
        layers = layer_grid(len(found.data.behaviors))
        coefficients = coefficient_grid(len(found.data.behaviors))
        said += [
            optimum("4,1,1 are the best layers", BEST_LAYERS, layers, found.grids),
            optimum("0,4/6,2/6 are the best coefficients", BEST_SIXTHS, coefficients, found.grids),
        ]
    return [*said, *by_correlation(found)]


def best_of_all(found: Found) -> Claim:
    """That PKEF has a larger NDCG@10 than the row of Table 2 that comes next."""
    others = {row: one for row, one in ROWS["table2"].items() if one != PKEF}
    there = {row: one for row, one in others.items() if found.done(one)}
    if not there:
        return Claim(BEST_OF_ALL, UNKNOWN, "no other model has a run")
    best = max(there, key=lambda row: found.spread(there[row], NDCG).mean)
    claim = larger(BEST_OF_ALL, "PKEF", best, ROWS["table2"], found)
    lacking = [row for row in others if row not in there]
    text = f"{claim.because}; no runs of {', '.join(lacking)}" if lacking else claim.because
    return claim._replace(because=text)


def larger(
    claim: str, first: str, second: str, rows: Mapping[str, Configuration], found: Found
) -> Claim:
    """That row `first` has the larger NDCG@10."""
    names = (first, second)
    text = ", ".join(f"{name} {_figure(rows[name], found)}" for name in names)
    if any(not found.done(rows[name]) for name in names):
        return Claim(claim, UNKNOWN, text)
    if not len(found.data.test_users):
        return Claim(claim, UNKNOWN, f"{text}; nothing is held out")
    (one,) = found.contrasts(rows[first], [rows[second]], NDCG)
    return Claim(claim, verdict(one), f"{text}; {_words(one)}")


def optimum(claim: str, point: tuple, grid: Mapping[tuple, Configuration], found: Found) -> Claim:
    """That a point of a grid is better than every other one."""
    points = best_points(grid, found)
    others = [one for one in points if one != point]
    if point not in points or not others or not len(found.data.test_users):
        return Claim(claim, UNKNOWN, f"{len(points)} of {len(grid)} points have runs")
    each = found.contrasts(grid[point], [grid[one] for one in others], NDCG)
    adjusted = holm([one.difference.p for one in each])
    verdicts = list(map(verdict, each, adjusted))
    # The best of the others, but of those that are better beyond noise if there are any.
    at = next((n for n, one in enumerate(verdicts) if one == NOT), 0)
    text = (
        f"{len(points)} of {len(grid)} points; {verdicts.count(HOLDS)} of {len(others)} others are "
        f"worse beyond noise, {verdicts.count(NOT)} better; at {_point(point)} "
        f"{_figure(grid[point], found)}, at {_point(others[at])} {_figure(grid[others[at]], found)}"
    )
    words = f"{_words(each[at])}, by Holm's rule {adjusted[at]:.4f}"
    return Claim(claim, _of_all(verdicts), f"{text}; {words}")


def by_correlation(found: Found) -> Iterator[Claim]:
    """What Figure 6 is shown for: PME against the other heads in groups of rising correlation."""
    others = {name: one for name, one in heads().items() if one != PKEF and found.done(one)}
    pme = found.values(PKEF, NDCG)
    if pme is None:
        for claim in (BEST_IN_GROUPS, RISES, RISES_FASTER):
            yield Claim(claim, UNKNOWN, "PME –")
        return
    group = _groups(found)
    inside = group > 0
    if len(np.unique(group[inside])) < 2:
        for claim in (BEST_IN_GROUPS, RISES, RISES_FASTER):
            yield Claim(claim, UNKNOWN, "fewer than two groups of users")
        return
    yield _best_in_groups(group, others, found)
    yield rising(RISES, f"slope of {NDCG}", group[inside], pme[inside])
    if not others:
        yield Claim(RISES_FASTER, UNKNOWN, "no other head has a run")
        return
    mean = np.mean([found.values(one, NDCG) for one in others.values()], axis=0)
    text = f"slope of PME less the mean of {', '.join(others)}"
    yield rising(RISES_FASTER, text, group[inside], (pme - mean)[inside])


def _groups(found: Found) -> Array:
    """The group of each held-out pair's user (T,), from 1; 0: of none."""
    group = np.zeros(found.data.n_users, np.int64)
    for number, users in enumerate(user_groups.by_correlation(found.data).users, 1):
        group[users] = number
    return group[found.data.test_users]


def _best_in_groups(group: Array, others: Mapping[str, Configuration], found: Found) -> Claim:
    if not others:
        return Claim(BEST_IN_GROUPS, UNKNOWN, "no other head has a run")
    numbers = [int(number) for number in np.unique(group) if number]
    each = [
        (f"{head} in group {number}", one)
        for number in numbers
        for head, one in zip(
            others, found.contrasts(PKEF, list(others.values()), NDCG, group == number), strict=True
        )
    ]
    adjusted = holm([one.difference.p for _, one in each])
    verdicts = [verdict(one, p) for (_, one), p in zip(each, adjusted, strict=True)]
    above = [name for (name, _), one in zip(each, verdicts, strict=True) if one == NOT]
    text = (
        f"PME against {', '.join(others)} in {len(numbers)} groups: better beyond noise in "
        f"{verdicts.count(HOLDS)} of {len(each)} comparisons, worse "
        f"{'than ' + ', '.join(above) if above else 'in none'}"
    )
    return Claim(BEST_IN_GROUPS, _of_all(verdicts), text)


def rising(claim: str, text: str, group: Array, values: Array) -> Claim:
    """That values rise from group to group: the slope of a linear regression over pairs."""
    from scipy.stats import linregress

    fit = linregress(group, values)
    p = 1.0 if np.isnan(fit.pvalue) else float(fit.pvalue)  # NaN: the values are all alike
    if p >= LEVEL:
        result = NOISE
    else:
        result = HOLDS if fit.slope > 0 else NOT
    words = f"{text} over users, a group further: {fit.slope:+.4f} ± {fit.stderr:.4f}"
    return Claim(claim, result, f"{words} (linear regression, p {p:.4f})")


def verdict(one: Contrast, p: float | None = None) -> str:
    """Of the claim that the difference is above 0; `p`: the test's, where it was adjusted."""
    if (one.difference.p if p is None else p) >= LEVEL:
        return NOISE
    values = [one.difference.mean, *one.by_seed]
    if min(values) > 0:
        return HOLDS
    return NOT if max(values) < 0 else NOISE


def _of_all(verdicts: Sequence[str]) -> str:
    """Of a claim that every comparison must bear out."""
    return next((one for one in (NOT, NOISE) if one in verdicts), HOLDS)


def write(found: Found, folder: Path) -> Path:
    """Write claims.md."""
    title = f"# What the paper claims, and what these runs show on {found.data.name}"
    table = Table(("claim", "verdict", "because"), [tuple(one) for one in claims(found)])
    path = folder / "claims.md"
    write_text(path, f"{title}\n\n{RULE} {selection(found)}\n\n{table.markdown()}")
    return path


def _figure(one: Configuration, found: Found) -> str:
    mean, sd = found.spread(one, NDCG)
    if mean is None:
        return "–"
    seeds = len(found.done(one))
    spread = f" ± {sd:.4f}" if sd is not None else ""
    return f"{mean:.4f}{spread} ({seeds} {'seed' if seeds == 1 else 'seeds'})"


def _words(one: Contrast) -> str:
    test, seeds = one.difference, len(one.by_seed)
    text = f"difference {test.mean:+.4f} ({test.low:+.4f} to {test.high:+.4f}), p {test.p:.4f}"
    if seeds > 1:
        text += f", above 0 at {sum(value > 0 for value in one.by_seed)} of {seeds} seeds"
    return text


def _point(point: tuple) -> str:
    return ",".join(map(str, point))
