"""Figures 1, 2 and 4 to 7: each a CSV, a Markdown file that says what it is, and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..analysis import sweeps, user_groups
from ..analysis.behavior_inheritance import inheritance
from ..analysis.gates import gates
from ..analysis.interaction_counts import counts, summary
from ..errors import InputError
from ..report.drawing import draw
from ..report.table import Table
from ..store.files import write_text
from .experiments import (
    GATED,
    INHERITING,
    Configuration,
    coefficient_grid,
    heads,
    layer_grid,
)
from .found import Found
from .runs import METRICS
from .tables import epochs, selection

FORMATS = ("svg", "png")


class Figure(NamedTuple):
    """What a figure shows, as its CSV, and in words; `kind`: of `report.drawing`."""

    title: str
    table: Table
    text: str
    kind: str


def fig1(found: Found) -> Figure:
    """Users by their number of interactions."""
    text = f"Train interactions of each user.\n\n{summary(found.data).markdown()}"
    return Figure("Figure 1: users by interactions", counts(found.data), text, "hist")


def fig2(found: Found) -> Figure:
    """What behaviours inherit from those before them."""

    def one(task):
        return inheritance(found.store.model(task, found.device))

    table, text = _looked_into(INHERITING, found, one)
    return Figure("Figure 2: what a behaviour inherits", table, text, "inheritance")


def fig4(found: Found) -> Figure:
    """All depths."""
    grid, found = layer_grid(len(found.data.behaviors)), found.grids
    table = sweeps.layers(_trials(grid, found))
    text = f"{_best(grid, found, 'layers')} {selection(found)}"
    return Figure("Figure 4: layers of each behaviour", table, text, "layers")


def fig5(found: Found) -> Figure:
    """All coefficients."""
    grid, found = coefficient_grid(len(found.data.behaviors)), found.grids
    table = sweeps.coefficients(_trials(grid, found))
    text = (
        f"{_best(grid, found, 'sixths')} Where l3 is 0 nothing trains the target's own part. "
        f"{selection(found)}"
    )
    return Figure("Figure 5: coefficients of the losses", table, text, "coefficients")


def fig6(found: Found) -> Figure:
    """Heads by groups of rising correlation."""
    groups, rows = user_groups.by_correlation(found.data), []
    for head, one in heads().items():
        for task, result in found.done(one):
            users, values = result.values()
            pair = [values[metric] for metric in METRICS]
            rows += user_groups.rows_of(groups, users, pair, head, task.seed)
    table = Table(user_groups.COLUMNS, rows)
    what = "Test users in five groups of rising correlation of their behaviours, at equal activity."
    if not groups.names:
        what = f"Nothing is here, {groups.sentence()}"
    text = f"{what} {selection(found)}"
    return Figure("Figure 6: heads by correlation of behaviours", table, text, "groups")


def fig7(found: Found) -> Figure:
    """What the gates weigh."""

    def one(task):
        return gates(found.store.model(task, found.device), found.data)

    table, text = _looked_into(GATED, found, one)
    return Figure("Figure 7: weights of the target's gate", table, text, "gates")


MAKERS = {"fig1": fig1, "fig2": fig2, "fig4": fig4, "fig5": fig5, "fig6": fig6, "fig7": fig7}


def write(name: str, found: Found, folder: Path) -> tuple[list[Path], list[str]]:
    """Write NAME.csv, NAME.md and pictures; the files' names, and what could not be made."""
    made = MAKERS[name](found)
    files, notes = [folder / f"{name}.csv"], []
    made.table.write(files[0])
    lines = [f"# {made.title}, {found.data.name}", "", made.text]
    if made.table.rows:
        drawn, notes = _draw(made, name, folder)
        files += drawn
        lines += ["", *(f"![{made.title}]({one.name})" for one in drawn[:1])]
    files.append(folder / f"{name}.md")
    write_text(files[-1], "\n".join(lines) + "\n")
    return files, notes


def _draw(made: Figure, name: str, folder: Path) -> tuple[list[Path], list[str]]:
    files = [folder / f"{name}.{one}" for one in FORMATS]
    try:
        for path in files:
            draw(made.kind, made.table, path)
    except InputError as error:
        return [], [f"{name} has no pictures: {error}"]
    return files, []


def _trials(grid: dict[tuple, Configuration], found: Found) -> Iterator[sweeps.Trial]:
    """The runs of a grid, seeds of a point side by side."""
    for one in grid.values():
        for task, result in found.done(one):
            yield sweeps.Trial(task.name, task.config, result.facts["protocols"]["paper"])


def best_points(grid: dict[tuple, Configuration], found: Found) -> list[tuple]:
    """The points that have runs, by falling mean NDCG@10."""
    means = {point: found.spread(one, METRICS[1]).mean for point, one in grid.items()}
    return sorted((p for p in means if means[p] is not None), key=lambda p: -means[p])


def _best(grid: dict[tuple, Configuration], found: Found, what: str) -> str:
    points = best_points(grid, found)
    counts = [len(found.done(one)) for one in grid.values()]
    text = f"{len(points)} of {len(grid)} points, with {min(counts)} to {max(counts)} seeds each."
    if points:
        mean = found.spread(grid[points[0]], METRICS[1]).mean
        text += f" The best mean NDCG@10, {mean:.4f}, is at {what} {','.join(map(str, points[0]))}."
    return f"{text} {epochs(found)}".rstrip()


def _looked_into(models: dict[str, Configuration], found: Found, look) -> tuple[Table, str]:
    """What `look` finds in the first seed of each model, with the model's name in front."""
    columns: tuple = ("model",)
    rows, seeds = [], []
    for name, one in models.items():
        for task, _ in found.done(one)[:1]:
            table = look(task)
            if table is None:
                continue
            rest = tuple(column for column in table.columns if column != "model")
            columns = ("model", *rest)
            rows += [(name, *(row[c] for c in rest)) for row in table.records()]
            seeds.append(f"{name}: seed {task.seed}")
    return Table(columns, rows), f"{'; '.join(seeds) or 'No run is there yet'}. {selection(found)}"
