"""Tables as pictures, PNG or SVG, for a column of a paper; with matplotlib, the extra `plot`.

A picture is drawn from its table alone, so that the CSV beside it holds every number it shows. The
same table gives the same file: no dates, and names that do not change from call to call.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import __version__
from ..errors import InputError, did_you_mean
from ..store.files import write_file
from . import charts
from .table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
DOTS = 300  # of an inch of a PNG


class Kind(NamedTuple):
    """A kind of picture: its title, its table's columns, and what fills the figure.

    `gaps`: columns that may be empty in some rows.
    """

    title: str
    columns: Mapping[str, type]
    fill: Callable[[Figure, Table], str]
    gaps: tuple[str, ...] = ()


KINDS = {
    "curves": Kind(
        "Learning curves",
        {"run": str, "epoch": int, "metric": str, "value": float},
        charts.curves,
        ("value",),
    ),
    "gates": Kind(
        "Weights of experts",
        {
            "model": str,
            "slot": int,
            "expert_name": str,
            "mean": float,
            "std": float,
            "entropy": float,
            "mean_term": float,
        },
        charts.gates,
        ("mean_term",),
    ),
    "groups": Kind(
        "Heads by groups of users",
        {
            "group": str,
            "rho_lo": float,
            "rho_hi": float,
            "rho_mean": float,
            "users": int,
            "mean_interactions": float,
            "head": str,
            "seed": int,
            "hr": float,
            "ndcg": float,
        },
        charts.groups,
        ("rho_lo", "rho_hi", "rho_mean", "mean_interactions", "seed", "hr", "ndcg"),
    ),
    "hist": Kind(
        "Interactions of users",
        {"behavior": str, "bin_lo": float, "bin_hi": float, "users": int},
        charts.hist,
    ),
    "inheritance": Kind(
        "What behaviours inherit",
        {
            "model": str,
            "metric": str,
            "side": str,
            "row": str,
            "col": str,
            "mean": float,
            "std": float,
        },
        charts.inheritance,
        ("col",),
    ),
    "layers": Kind(
        "Layers of the behaviours",
        {"lv": int, "lc": int, "lb": int, "seed": int, "hr": float, "ndcg": float},
        charts.layers,
        ("hr", "ndcg"),
    ),
    "coefficients": Kind(
        "Weights of the behaviours' losses",
        {"l1": float, "l2": float, "l3": float, "seed": int, "hr": float, "ndcg": float},
        charts.coefficients,
        ("hr", "ndcg"),
    ),
}

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 3,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "svg.fonttype": "none",  # text stays text: it is found, read aloud and edited
    "svg.hashsalt": "pkef-fast",
    "path.simplify": False,
}


def draw(kind: str, table: Table, path: str | os.PathLike[str]) -> None:
    """Draw a table, whole or not at all.

    Parameters
    ----------
    kind : {"curves", "gates", "groups", "hist", "inheritance", "layers", "coefficients"}
    table : Table
        With the columns of `KINDS[kind]`.
    path : path
        Ends in .png or .svg.

    Raises
    ------
    InputError
        For another kind, other columns, an empty table or one with gaps, another ending, a file
        that cannot be written, and without matplotlib.
    """
    check_path(path)
    import_matplotlib()
    from matplotlib import rc_context

    title = of_kind(kind).title
    with rc_context(STYLE):
        figure, words = figure_of(kind, table)
        picture = io.BytesIO()
        made_by = f"pkef-fast {__version__}"
        metadata = {"Title": title, "Description": words}
        if Path(path).suffix.lower() == ".svg":
            figure.savefig(
                picture, format="svg", metadata={**metadata, "Creator": made_by, "Date": None}
            )
        else:
            figure.savefig(
                picture, format="png", dpi=DOTS, metadata={**metadata, "Software": made_by}
            )
    with write_file(path) as file:
        file.write(picture.getvalue())


def figure_of(kind: str, table: Table) -> tuple[Figure, str]:
    """The figure that `draw` writes, and what it shows in words."""
    import_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    _, columns, fill, gaps = of_kind(kind)
    if table.columns != tuple(columns):
        raise InputError(
            f"a table of {', '.join(table.columns)} cannot be drawn as {kind}; wanted the columns "
            f"{', '.join(columns)}."
        )
    if not table.rows:
        raise InputError(f"there is nothing to draw as {kind}: the table has no rows.")
    for number, row in enumerate(table.records(), 1):
        for name, value in row.items():
            if value is None and name not in gaps:
                raise InputError(f"row {number} cannot be drawn as {kind}: it has no {name!r}.")
    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        return figure, fill(figure, table)


def of_kind(kind: str) -> Kind:
    """A kind by its name; InputError for an unknown one."""
    if kind not in KINDS:
        raise InputError(f"picture {kind!r} is unknown{did_you_mean(kind, KINDS)}")
    return KINDS[kind]


def check_path(path: str | os.PathLike[str]) -> None:
    """InputError unless the name says PNG or SVG."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} cannot be drawn; wanted a name that ends in .png or .svg.")


def import_matplotlib() -> None:
    """InputError where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"drawing needs matplotlib, which cannot be imported ({error}); "
            "pip install 'pkef-fast[plot]'."
        ) from error
