"""Tables 2 to 5 as CSV and Markdown: ours beside the published, with the difference to PKEF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..data.dataset import Array
from ..evaluate import rules
from ..evaluate.figures import TOP, gains
from ..report.table import Table
from ..store.files import write_text
from .experiments import GRAPH_RANK, PKEF, ROWS
from .found import Found, Ranking, spread
from .published import published
from .runs import METRICS

TITLES = {
    "table2": "Table 2: models",
    "table3": "Table 3: PKEF without its parts, and single choices of the released code",
    "table4": "Table 4: schemes of fusion",
    "table5": "Table 5: heads on PKF's streams",
}
OTHERS = ("discovery", "return")
RULED = "a rule"  # in the column `configuration`


def columns() -> tuple[str, ...]:
    """Of a table's CSV."""
    found = ("row", "configuration", "seeds")
    for metric in METRICS:
        found += (metric, f"{metric} sd", f"published {metric}")
    found += tuple(f"{protocol} {metric}" for protocol in OTHERS for metric in METRICS)
    for metric in METRICS:
        found += tuple(f"{metric} - PKEF{end}" for end in ("", " low", " high", " p"))
    return found


def table(name: str, found: Found) -> Table:
    """A row for each configuration, then graph-rank and the rules that learn nothing.

    A row without any run is there too, without figures of ours.
    """
    rows: list[tuple] = []
    rankings: list[Ranking] = []  # the rows', in their order
    for row, one in {**ROWS[name], "graph-rank": GRAPH_RANK}.items():
        known = published(name, row, found.data.name) or (None, None)
        ours = zip((found.spread(one, metric) for metric in METRICS), known, strict=True)
        rows.append(
            (
                *(row, one.name, len(found.done(one))),
                *(cell for figure, printed in ours for cell in (*figure, printed)),
                *(found.spread(one, m, protocol).mean for protocol in OTHERS for m in METRICS),
            )
        )
        rankings.append(one)
    if len(found.data.test_users):
        popular = found.popularity()
        figures = [popular.protocols[one].metrics[m] for one in OTHERS for m in METRICS]
        there = (spread([v for v in [value] if v == v]).mean for value in figures)  # NaN: nobody
        values = dict(zip(METRICS, gains(popular.ranks, TOP), strict=True))
        rows.append((*_rule("popularity", values), *there))
        rankings.append(values)
        for rule, values in rules.each_pair(found.data).items():
            rows.append((*_rule(rule, values), *(None,) * (len(OTHERS) * len(METRICS))))
            rankings.append(values)
    tested = [found.differences(rankings, PKEF, metric) for metric in METRICS]
    rows = [
        (*row, *(cell for one in pair for cell in one or (None,) * 4))
        for row, pair in zip(rows, zip(*tested, strict=True), strict=True)
    ]
    return Table(columns(), rows)


def _rule(name: str, values: Mapping[str, Array]) -> tuple:
    """The first cells of a rule's row, of its values for each held-out pair."""
    means = (float(np.mean(values[metric])) for metric in METRICS)
    return (name, RULED, 1, *(cell for mean in means for cell in (mean, None, None)))


def write(name: str, found: Found, folder: Path) -> list[Path]:
    """Write NAME.csv and NAME.md; the files' names."""
    made = table(name, found)
    files = [folder / f"{name}.csv", folder / f"{name}.md"]
    made.write(files[0])
    lines = [f"# {TITLES[name]}, {found.data.name}", "", caption(found, made), ""]
    write_text(files[1], "\n".join(lines) + "\n" + shown(made).markdown())
    return files


def shown(made: Table) -> Table:
    """What Markdown shows of a table: figures with their spread, intervals in brackets."""
    heads = ("", "seeds", *(word for m in METRICS for word in (m, "published")))
    heads += tuple(f"{protocol} {METRICS[1]}" for protocol in OTHERS)
    heads += ("NDCG@10 − PKEF (95 % interval)", "p")
    rows = []
    for one in made.records():
        cells: list = [one["row"], one["seeds"] if one["configuration"] != RULED else None]
        for metric in METRICS:
            mean, sd = one[metric], one[f"{metric} sd"]
            cells += [mean if sd is None else f"{mean:.4f} ± {sd:.4f}", one[f"published {metric}"]]
        cells += [one[f"{protocol} {METRICS[1]}"] for protocol in OTHERS]
        name = f"{METRICS[1]} - PKEF"
        value, low, high = (one[name + end] for end in ("", " low", " high"))
        known = value is not None
        cells.append(f"{value:+.4f} ({low:+.4f} to {high:+.4f})" if known else None)
        cells.append(one[f"{name} p"])
        rows.append(tuple(cells))
    return Table(heads, rows)


def caption(found: Found, made: Table) -> str:
    """How the figures came about: ranking, selection, seeds, tests."""
    users = len(set(found.data.test_users.tolist()))
    parts = [
        f"Full ranking of {users} users' held-out {found.data.target}; means over seeds ± standard "
        "deviation.",
        selection(found),
        _seeds(found, made),
        epochs(found),
        "Published: the paper's figure, where it has one for this row and data set. Rows below "
        "graph-rank learn nothing; of the rules, users whose held-out item is not in the list "
        "count as misses.",
        "Differences to PKEF are paired by user, of means over seeds, with bootstrap intervals and "
        "the p of a two-sided randomisation test; p is not corrected for the number of rows.",
    ]
    return " ".join(part for part in parts if part)


def selection(found: Found) -> str:
    """The rule by which every row's epoch was chosen, in words."""
    if found.select == "last":
        return "Selection: none, the last epoch of every model."
    target = found.data.target
    if found.data.validation is None:
        held = f"one more {target} of each user with three or more is"
    else:
        held = f"the data set's own {len(found.data.validation[1])} validation {target}s are"
    return (
        f"Selection, the same for every model that is trained: {held} held out of training, and "
        "the epoch with the best NDCG@10 on these is kept; the test items play no part."
    )


def _seeds(found: Found, made: Table) -> str:
    learned = [one for one in made.records() if one["configuration"] not in (RULED, "graph-rank")]
    fewer = [f"{one['row']} {one['seeds']}" for one in learned if one["seeds"] < found.seeds]
    text = f"Seeds: 1 to {found.seeds}" if found.seeds > 1 else "Seed: 1"
    if not fewer:
        return f"{text}, of every row that is drawn."
    return f"{text}; rows that have fewer: {', '.join(fewer)}."


def epochs(found: Found) -> str:
    """How many epochs every model has, where that was asked for."""
    return "" if found.epochs is None else f"At most {found.epochs} epochs of every model."
