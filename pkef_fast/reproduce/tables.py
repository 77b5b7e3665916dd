"""Tables 2 to 5 as CSV and Markdown: ours beside the published, with the difference to PKEF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..evaluate.protocols import PROTOCOLS
from ..evaluate.rules import rules
from ..report.table import Table
from ..store.files import write_text
from .experiments import GRAPH_RANK, PKEF, ROWS, Configuration
from .found import UNTESTED, Found, paired_test, spread
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
    """Of a table's CSV; those of differences are there where the test is."""
    found = ("row", "configuration", "seeds")
    for metric in METRICS:
        found += (metric, f"{metric} sd", f"published {metric}")
    found += tuple(f"{protocol} {metric}" for protocol in OTHERS for metric in METRICS)
    if paired_test() is not None:
        for metric in METRICS:
            found += tuple(f"{metric} - PKEF{end}" for end in ("", " low", " high", " p"))
    return found


def table(name: str, found: Found) -> Table:
    """A row for each configuration, then graph-rank and the rules that learn nothing.

    A row without any run is there too, without figures of ours.
    """
    return Table(columns(), [*_learned(name, found), *_trivial(found)])


def _learned(name: str, found: Found) -> Iterator[tuple]:
    for row, one in {**ROWS[name], "graph-rank": GRAPH_RANK}.items():
        cells: list = [row, one.name, len(found.done(one))]
        known = published(name, row, found.data.name) or (None, None)
        for metric, figure in zip(METRICS, known, strict=True):
            cells += [*found.spread(one, metric), figure]
        cells += [found.spread(one, m, protocol).mean for protocol in OTHERS for m in METRICS]
        yield (*cells, *_differences(one, found))


def _trivial(found: Found) -> Iterator[tuple]:
    if not len(found.data.test_users):
        return
    popular = found.popularity()
    figures = {name: popular.protocols[name].metrics for name in PROTOCOLS}
    cells: list = ["popularity", RULED, 1]
    for metric in METRICS:
        cells += [figures["paper"][metric], None, None]
    for protocol in OTHERS:
        # NaN: nobody has such a held-out item.
        cells += [spread([v for v in [figures[protocol][m]] if v == v]).mean for m in METRICS]
    yield (*cells, *_differences(popular.ranks, found))
    empty = (None,) * (len(columns()) - 3 - 3 * len(METRICS))
    for name, values in rules(found.data).items():
        cells = [name, RULED, 1]
        for metric in METRICS:
            cells += [values[metric], None, None]
        yield (*cells, *empty)


def _differences(one, found: Found) -> tuple:
    """Of both metrics, as columns; of PKEF itself there is none."""
    if paired_test() is None:
        return ()
    cells: tuple = ()
    for metric in METRICS:
        same = isinstance(one, Configuration) and one == PKEF
        test = None if same else found.difference(one, PKEF, metric)
        cells += (None,) * 4 if test is None else (test.mean, test.low, test.high, test.p)
    return cells


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
    tested = f"{METRICS[1]} - PKEF" in made.columns
    heads = ("", "seeds", *(word for m in METRICS for word in (m, "published")))
    heads += tuple(f"{protocol} {METRICS[1]}" for protocol in OTHERS)
    heads += ("NDCG@10 − PKEF (95 % interval)", "p") if tested else ()
    rows = []
    for one in made.records():
        cells: list = [one["row"], one["seeds"] if one["configuration"] != RULED else None]
        for metric in METRICS:
            mean, sd = one[metric], one[f"{metric} sd"]
            cells += [mean if sd is None else f"{mean:.4f} ± {sd:.4f}", one[f"published {metric}"]]
        cells += [one[f"{protocol} {METRICS[1]}"] for protocol in OTHERS]
        if tested:
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
        _epochs(found),
        "Published: the paper's figure, where it has one for this row and data set. Rows below "
        "graph-rank learn nothing; of the rules, users whose held-out item is not in the list "
        "count as misses.",
    ]
    if paired_test() is None:
        parts.append(UNTESTED)
    else:
        parts.append(
            "Differences to PKEF are paired by user, of means over seeds, with bootstrap intervals "
            "and the p of a two-sided randomisation test; p is not corrected for the number of "
            "rows."
        )
    return " ".join(part for part in parts if part)


def selection(found: Found) -> str:
    """The rule by which every row's epoch was chosen, in words."""
    if found.select == "last":
        return "Selection: none, the last epoch of every model."
    return (
        f"Selection, the same for every model that is trained: one more {found.data.target} of "
        "each user with three or more is held out of training, and the epoch with the best "
        "NDCG@10 on these is kept; the test items play no part."
    )


def _seeds(found: Found, made: Table) -> str:
    learned = [one for one in made.records() if one["configuration"] not in (RULED, "graph-rank")]
    fewer = [f"{one['row']} {one['seeds']}" for one in learned if one["seeds"] < found.seeds]
    text = f"Seeds: 1 to {found.seeds}" if found.seeds > 1 else "Seed: 1"
    if not fewer:
        return f"{text}, of every row that is drawn."
    return f"{text}; rows that have fewer: {', '.join(fewer)}."


def _epochs(found: Found) -> str:
    return "" if found.epochs is None else f"At most {found.epochs} epochs of every model."
