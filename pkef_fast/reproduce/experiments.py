"""What each table and figure of the paper is made from: models, presets and fields by row.

A configuration that several rows or figures share is one run: runs are found by what they are, not
by who wants them (`runs`). Rows without a published figure are our additions: they tell what single
choices of the released code are worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ..config.fields import Fields
from ..errors import InputError, did_you_mean
from ..models import model_class

TABLES = ("table2", "table3", "table4", "table5")
FIGURES = ("fig1", "fig2", "fig4", "fig5", "fig6", "fig7")
GRIDS = ("fig4", "fig5")
DEPTHS = (1, 2, 3, 4)  # of Figure 4, for each behaviour
PARTS = 6  # Figure 5's coefficients are sixths
BEST_LAYERS, BEST_SIXTHS = (4, 1, 1), (0, 4, 2)  # of the paper on Beibei and Taobao


@dataclass(frozen=True)
class Configuration:
    """A model, one of its presets, and the fields that differ from it; but for the seed.

    `keeps_model` is no part of what it is: nothing looks into the models of a grid's 92 points,
    12 MB each on Taobao, so these are not kept.

    >>> Configuration("pkef", "official", (("layers", (2, 1, 1)),)).name
    'pkef:official layers=2,1,1'
    """

    model: str
    preset: str | None = None  # None: the model's own for the data set
    fields: tuple[tuple[str, Any], ...] = ()
    keeps_model: bool = field(default=True, compare=False)

    @property
    def name(self) -> str:
        """As a person would type it."""
        changes = "".join(f" {name}={_typed(value)}" for name, value in self.fields)
        return f"{self.model}{f':{self.preset}' if self.preset else ''}{changes}"

    def config(self, dataset_name: str, behaviors: Sequence[str], **changes: Any) -> Fields:
        """The checked config for a data set; of `changes`, those that the model has fields for."""
        kind = model_class(self.model)
        base = kind.preset(self.preset or kind.default_preset(dataset_name), behaviors)
        known = {one.name for one in base.listed()}
        changes = {name: value for name, value in changes.items() if name in known}
        return base.replaced(**dict(self.fields), **changes).checked(behaviors)


def _typed(value: Any) -> str:
    return ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)


def _pkef(preset: str, **fields: Any) -> Configuration:
    return Configuration("pkef", preset, tuple(fields.items()))


def _point(**fields: Any) -> Configuration:
    """Of a grid."""
    return Configuration("pkef", "official", tuple(fields.items()), keeps_model=False)


PKEF = _pkef("official")
GRAPH_RANK = Configuration("graph-rank")

# Table → row → configuration. The names are the paper's where it has the row.
ROWS: dict[str, dict[str, Configuration]] = {
    "table2": {
        "MF-BPR": Configuration("mf-bpr"),
        "NeuMF": Configuration("neumf"),
        "LightGCN": Configuration("lightgcn"),
        "RGCN": Configuration("rgcn"),
        "GNMR": Configuration("gnmr"),
        "NMTR": Configuration("nmtr"),
        "MBGCN": Configuration("mbgcn"),
        "CRGCN": Configuration("crgcn"),
        "MB-CGCN": Configuration("mb-cgcn"),
        "PKEF": PKEF,
        "GHCF": Configuration("ghcf"),
    },
    "table3": {
        "Base Model": _pkef("base"),
        "w/o PKF": _pkef("without-pkf"),
        "w/o PME": _pkef("without-pme"),
        "PKEF": PKEF,
        "own expert alone": _pkef("own-expert"),
        "w/o gate": _pkef("without-gate"),
        "w/o unique loss": _pkef("without-unique"),
        "w/o the factor 300": _pkef("unscaled"),
        "self loops": _pkef("self-loops"),
        "projection factor 1": _pkef("full-fusion"),
    },
    "table4": {
        "Summation": _pkef("summation"),
        "Linear Trans.": _pkef("linear"),
        "Vanilla": _pkef("vanilla"),
        "Projection": PKEF,
    },
    "table5": {
        "PKF+SB": _pkef("shared-bottom"),
        "PKF+Bilinear": _pkef("without-pme"),
        "PKF+MMOE": _pkef("mmoe"),
        "PKF+PLE": _pkef("ple"),
        "PKF+PME": PKEF,
        "PKF+Bilinear, full": _pkef("bilinear-full"),
        "PKF+SB, products": _pkef("shared-bottom-hadamard"),
        "PKF+SB, literal": _pkef("shared-bottom-literal"),
    },
}
# The heads of Figure 6, and the models of Figures 2 and 7.
HEADS = ("PKF+SB", "PKF+Bilinear", "PKF+MMOE", "PKF+PLE", "PKF+PME")
INHERITING = {"Base Model": _pkef("base"), "PKEF": PKEF}
GATED = {"PME": PKEF, "MMoE": _pkef("mmoe"), "PLE": _pkef("ple")}


def layer_grid(n_behaviors: int) -> dict[tuple[int, int, int], Configuration]:
    """Figure 4: (first, between, target) layers → configuration, all of 1..4 each.

    With four behaviours the two between are tied. The paper's best point comes first, then those
    that differ from it in one place, in two, in three: a budget that ends before the grid does
    leaves whole lines through that point.
    """
    _three_or_four(n_behaviors, "fig4")
    between = n_behaviors - 2
    points = sorted(product(DEPTHS, repeat=3), key=lambda point: _places(point, BEST_LAYERS))
    grid = {
        (first, middle, last): _point(layers=(first, *(middle,) * between, last))
        for first, middle, last in points
    }
    return {**grid, BEST_LAYERS: PKEF}


def _places(point: tuple, other: tuple) -> int:
    return sum(one != two for one, two in zip(point, other, strict=True))


def coefficient_grid(n_behaviors: int) -> dict[tuple[int, int, int], Configuration]:
    """Figure 5: (λ1, λ2, λ3) in sixths, with sum 6 → configuration.

    The paper's best point comes first, and others by the sixths that were moved. The fourth
    behaviour of Tmall, its almost empty cart, keeps the release's 0. A target without a loss is
    kept: what the paper's picture shows there is a ranking that nothing trained.
    """
    _three_or_four(n_behaviors, "fig5")
    empty = (0.0,) * (n_behaviors - 3)
    points = [(a, b, PARTS - a - b) for a in range(PARTS + 1) for b in range(PARTS + 1 - a)]
    points.sort(key=lambda point: _moved(point, BEST_SIXTHS))
    grid = {
        (a, b, c): _point(coefficients=(a / PARTS, b / PARTS, *empty, c / PARTS))
        for a, b, c in points
    }
    return {**grid, BEST_SIXTHS: PKEF}


def _moved(point: tuple, other: tuple) -> int:
    return sum(abs(one - two) for one, two in zip(point, other, strict=True)) // 2


def _three_or_four(n_behaviors: int, what: str) -> None:
    if n_behaviors not in (3, 4):
        raise InputError(f"{what} is of three or four behaviours; the data set has {n_behaviors}.")


def wanted(words: Sequence[str]) -> tuple[str, ...]:
    """The tables and figures that the words ask for, in the paper's order; "all" is all of them."""
    known = (*TABLES, *FIGURES)
    for word in words:
        if word not in (*known, "all"):
            raise InputError(f"{word!r} cannot be made{did_you_mean(word, (*known, 'all'))}")
    return known if "all" in words else tuple(one for one in known if one in words)


def configurations(what: str, n_behaviors: int) -> Iterator[Configuration]:
    """The runs that a table or figure needs, but for seeds; some may come twice."""
    if what in ROWS:
        yield from ROWS[what].values()
        yield PKEF
        yield GRAPH_RANK
    elif what == "fig2":
        yield from INHERITING.values()
    elif what == "fig4":
        yield from layer_grid(n_behaviors).values()
    elif what == "fig5":
        yield from coefficient_grid(n_behaviors).values()
    elif what == "fig6":
        yield from heads().values()
    elif what == "fig7":
        yield from GATED.values()


def heads() -> Mapping[str, Configuration]:
    """Figure 6: head → configuration."""
    return {name.removeprefix("PKF+"): ROWS["table5"][name] for name in HEADS}
