"""Runs of one data set side by side, as tables: figures, and differences user by user."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..analysis.user_groups import COLUMNS, CORRELATED, Groups, by_activity, by_correlation
from ..data.dataset import Array, Dataset
from ..device import Device
from ..device import device as make_device
from ..errors import InputError
from ..evaluate.protocols import PROTOCOLS, interval
from ..report.table import Table
from .pooled import Pool
from .ranked import METRICS, NOTHING, UNKNOWN, Ranked, RanksFile, of_file, of_pool
from .significance import RESAMPLES, all_paired, holm

FIGURES = tuple(f"{metric}{end}" for metric in METRICS for end in ("", " sd", " low", " high"))
DIFFERENCES = ("a", "b", "by", "group", "users", "metric")
DIFFERENCES += ("difference", "low", "high", "p", "p_holm")
RESOLUTION = 100  # draws of a test for each test that is made, so that Holm's p can still be 0.01


class _Part(NamedTuple):
    """Some of the held-out pairs."""

    by: str  # what they are parted by
    group: str
    protocol: str
    chosen: Array | slice  # of the protocol's pairs, in their order


def compare(
    pools: Sequence[Pool | RanksFile],
    dataset: Dataset,
    *,
    device: Device | str = "cpu",
    all_pairs: bool = False,
    centred: bool = True,
    told: Callable[[str], None] = lambda text: None,
) -> dict[str, Table]:
    """Evaluate pools of runs, and compare each with the first.

    Parameters
    ----------
    pools : sequence of Pool, and of RanksFile
        See `pooled.pools`.
    dataset : Dataset
        What they were trained on.
    device : Device or str
    all_pairs : bool
        Compare each with each.
    centred : bool
        See `analysis.user_groups.by_correlation`.
    told : callable
        Is told what is being worked on.

    Returns
    -------
    dict of name → Table
        runs : a row a run and protocol: name, run, seed, chosen, protocol, HR@10, NDCG@10;
        protocol, activity, correlation : a row a part of the held-out pairs and a pool: figures
        (means over seeds), standard deviations over seeds (None of a single one), and 95 %
        intervals over users; groups of users are those of the paper's protocol, and there are none
        by correlation where no user has any, as with a single behaviour;
        differences : a − b of each metric in each part, with a 95 % interval over users, p of the
        randomisation test, and p adjusted for all tests of the table by Holm's method;
        activity_groups, correlation_groups : what holds the groups together;
        groups : a row a group by correlation and run, as figure 6 is drawn from;
        notes : sentences.

    Raises
    ------
    InputError
        When there are not two things to compare, or one is of other data.
    """
    place = make_device(device)
    ranked = _ranked(pools, dataset, place, told)
    if sum(len(one.seeds) for one in ranked) < 2:
        raise InputError("there is one run; wanted two or more to compare.")
    groups = {"activity": by_activity(dataset), "correlation": by_correlation(dataset, centred)}
    parts = list(_parts(groups, dataset))
    tables = {"runs": _runs(ranked)}
    for by in ("protocol", *groups):
        tables[by] = _figures([part for part in parts if part.by == by], by, ranked)
    pairs = _pairs(ranked, all_pairs)
    tables["differences"] = differences = _differences(pairs, parts, told)
    tables |= {f"{name}_groups": one.table for name, one in groups.items()}
    tables["groups"] = _by_seed(groups["correlation"], ranked)
    notes = _notes(ranked, len(differences.rows), groups)
    if not len(dataset.test_users):
        notes.insert(0, "nothing was evaluated: no held-out items.")
    tables["notes"] = Table(("note",), [(text,) for text in notes])
    return tables


def _ranked(
    pools: Sequence[Pool | RanksFile],
    dataset: Dataset,
    device: Device,
    told: Callable[[str], None],
) -> list[Ranked]:
    """All that is compared, in its order; files first, so that nobody waits for a refusal."""
    of_files = {one: of_file(one, dataset) for one in pools if isinstance(one, RanksFile)}
    found: list[Ranked] = []
    for one in pools:
        if isinstance(one, RanksFile):
            found += of_files[one]
        else:
            found.append(of_pool(one, dataset, device, told))
    names = [one.name for one in found]
    return [
        replace(one, name=f"{one.name} ({one.sources[0]})") if names.count(one.name) > 1 else one
        for one in found
    ]


def _parts(groups: dict[str, Groups], dataset: Dataset) -> Iterator[_Part]:
    for name in PROTOCOLS:
        yield _Part("protocol", name, name, slice(None))
    for by, found in groups.items():
        for name, members in zip(found.names, found.users, strict=True):
            yield _Part(by, name, "paper", np.isin(dataset.test_users, members))


def _runs(ranked: Sequence[Ranked]) -> Table:
    rows = []
    for one in ranked:
        for n, seed in enumerate(one.seeds):
            source = one.sources[n]
            for name in one.ranks:
                means = (_mean(values[n]) for values in one.values(name))
                rows.append((one.name, source, seed, one.chosen, name, *means))
    return Table(("name", "run", "seed", "chosen", "protocol", *METRICS), rows)


def _figures(parts: Sequence[_Part], by: str, ranked: Sequence[Ranked]) -> Table:
    rows = []
    for part in parts:
        for one in ranked:
            if part.protocol not in one.ranks:
                continue
            users = one.users[part.protocol][part.chosen]
            row: list[Any] = [part.group, one.name, len(np.unique(users)), len(one.seeds)]
            for values in one.values(part.protocol):
                values = values[:, part.chosen]
                sd = None
                if len(values) > 1 and len(users):
                    sd = float(np.std(values.mean(axis=1), ddof=1))
                ends = interval(users, values.mean(axis=0)) or (None, None)
                row += [_mean(values), sd, *ends]
            rows.append(tuple(row))
    column = by if by == "protocol" else "group"
    return Table((column, "name", "users", "seeds", *FIGURES), rows)


def _pairs(ranked: Sequence[Ranked], all_pairs: bool) -> list[tuple[Ranked, Ranked]]:
    """(a, b): a comes later, b is what it is compared with."""
    if all_pairs:
        return [(a, b) for b, a in itertools.combinations(ranked, 2)]
    return [(a, ranked[0]) for a in ranked[1:]]


def _differences(
    pairs: Sequence[tuple[Ranked, Ranked]],
    parts: Sequence[_Part],
    told: Callable[[str], None],
) -> Table:
    # Pairs by part, because all differences of the same users are tested together.
    asked: list[tuple[_Part, Array, list[tuple[Ranked, Ranked]]]] = []
    for part in parts:
        ranked = [both for both in pairs if all(part.protocol in one.ranks for one in both)]
        if ranked and len(users := ranked[0][0].users[part.protocol][part.chosen]):
            asked.append((part, users, ranked))
    flips = _flips(len(METRICS) * sum(len(ranked) for _, _, ranked in asked))
    rows = []
    for part, users, ranked in asked:
        told(f"differences by {part.by}, {part.group}")
        values = [[_means(one, part) for one in both] for both in ranked]
        columns = [x - y for a, b in values for x, y in zip(a, b, strict=True)]
        found = iter(all_paired(users, columns, flips=flips))
        for a, b in ranked:
            place = (a.name, b.name, part.by, part.group, len(np.unique(users)))
            rows += [(*place, metric, *next(found)) for metric in METRICS]
    names = [(a.name, b.name) for a, b in pairs]
    rows.sort(key=lambda row: names.index(row[:2]))
    adjusted = holm([row[-1] for row in rows])
    return Table(DIFFERENCES, [(*row, p) for row, p in zip(rows, adjusted, strict=True)])


def _means(one: Ranked, part: _Part) -> list[Array]:
    """HR@10 and NDCG@10 of each pair of a part, means over seeds."""
    return [values[:, part.chosen].mean(axis=0) for values in one.values(part.protocol)]


def _flips(tests: int) -> int:
    """Draws of each of so many tests."""
    return max(RESAMPLES, RESOLUTION * tests - 1)


def _by_seed(groups: Groups, ranked: Sequence[Ranked]) -> Table:
    """Figures of each group by correlation and run, with what the group is."""
    rows = []
    for group, members in zip(groups.table.records(), groups.users, strict=True):
        for one in ranked:
            chosen = np.isin(one.users["paper"], members)
            for n, seed in enumerate(one.seeds):
                means = (_mean(values[n, chosen]) for values in one.values("paper"))
                rows.append((*(group[name] for name in CORRELATED), one.name, seed, *means))
    return Table(COLUMNS, rows)


def _notes(ranked: Sequence[Ranked], tests: int, groups: dict[str, Groups]) -> list[str]:
    notes = [one.sentence() for one in groups.values()]
    notes.append(
        "intervals and p are over users, each with all held-out pairs, of figures that are means "
        "over the seeds that were run; ± is the standard deviation over these seeds."
    )
    if tests:
        notes.append(
            f"{tests} tests were made; p is each one's own, p (Holm) is adjusted for all of them "
            f"together; {_flips(tests)} draws, so no p is below {1 / (_flips(tests) + 1):.1e}."
        )
    rules: dict[str, list[str]] = {}
    for one in ranked:
        if one.chosen != NOTHING:
            rules.setdefault(one.chosen, []).append(one.name)
    if len(rules) > 1:
        said = "; ".join(f"{rule}: {', '.join(names)}" for rule, names in rules.items())
        notes.append(f"models were chosen by different rules, which favours some: {said}.")
    notes += [
        f"{one.name} is read from {one.sources[0]}: that it learned from the same train data is "
        "not known, nor its ranks by the protocol discovery."
        for one in ranked
        if one.chosen == UNKNOWN
    ]
    return notes


def _mean(values: Array) -> float | None:
    return float(values.mean()) if values.size else None
