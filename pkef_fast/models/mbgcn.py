"""MBGCN: multi-behaviour graph convolution, weighed for each user (Jin et al., SIGIR 2020).

M_k is the U × I pattern of behaviour k, n_uk how many items are in its row u, K the target.

    a_uk = n_uk w_k / Σ_j n_uj w_j                  what a behaviour counts for a user
    h_uk = mean of E_i over M_k[u]
    F_u = [E_u | (Σ_k a_uk h_uk) W],   F_i = [E_i | (Σ or mean of E_u over M_Kᵀ[i]) W]
    s_1(u, i) = ⟨F_u, F_i⟩                                             users and items

    t_ki = (mean of E_j over the items j met with i) V_k,   S_ki = [E_i | t_ki]
    c_uk = mean of S_ki over M_k[u]
    s_2(u, i) = 1/K · Σ_k ⟨c_uk B_k, S_ki⟩                             items and items

    s = s_1 + λ s_2
    L = mean softplus(−(s⁺ − s⁻)) + reg·(2‖F_u‖² + ‖F_i⁺‖² + ‖F_i⁻‖²) / n      over n triples

There is one layer, as in the release, which sums an item's users (the paper takes their mean). It
starts E from a trained MF: `train --model mf-bpr`, and `--init-from` that run here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..config.fields import field, wrong
from ..config.space import Choice
from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..evaluate.rankers import TableRanker
from ..graph.sides import OneSided, inverse, met_together, to_side
from ..kernels.rank import DotScorer
from ..tape import ops
from ..tape.autograd import Tensor, no_grad
from ..train.config import patience
from ..train.protocol import ALL, About, Shape
from .pairwise import INDEX, Pairwise, PairwiseConfig
from .triples import TripleList, Triples

SMALL = 1e-8  # added to the number of items that divides a user's sums (release)


@dataclass(frozen=True)
class MbgcnConfig(PairwiseConfig):
    """What MBGCN's scores are made of, and how it is trained."""

    regularization: float = field(
        1e-4, "penalty reg on the squares of a triple's rows F, the user's twice", low=0
    )
    item: str = field(
        "mean",
        "of an item's users: mean (paper); sum (release), which grows with popularity",
        choices=("mean", "sum"),
    )
    item_item: float = field(
        0.1, "share λ of the item-item score, 0: none; release 1, 0.1 unless told", low=0
    )
    item_graph: str = field(
        "counted",
        "items that somebody met both of: counted, as often as that was (our choice), or binary, "
        "once (release), which is nearly dense and needs the memory",
        choices=("counted", "binary"),
    )
    node_dropout: float = field(
        0.0, "share of each behaviour's pairs that a step leaves out; release 0.2", low=0
    )
    message_dropout: float = field(
        0.0, "share of the entries of F that a step leaves out; release 0.2", low=0
    )
    init: str = field(
        "xavier",
        "tables and matrices at the start: uniform xavier, or normal of the same width (release)",
        choices=("xavier", "normal"),
    )
    unit_start: bool = field(
        False, "rows of tables that --init-from gives are scaled to length 1; release yes"
    )
    epochs: int = field(400, "most passes over the train pairs", low=0, group="passes")
    patience: int | None = patience(50)

    def checked(self, behaviors: Sequence[str]) -> MbgcnConfig:
        """This config, or an InputError naming the wrong field."""
        for name in ("node_dropout", "message_dropout"):
            if getattr(self, name) >= 1:
                raise wrong(name, getattr(self, name), "less than 1, or nothing would be left")
        return super().checked(behaviors)


class Mbgcn(Pairwise):
    """The model; see the module.

    In tables of all nodes what is made for users is zero for items, and the other way round, so
    the two can be added, and rows of both go through one matrix.
    """

    about = About("Jin et al., MBGCN, SIGIR", 2020, ALL)
    Config = MbgcnConfig
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "release": {
            "lr": 3e-4,
            "item": "sum",
            "item_item": 1.0,
            "node_dropout": 0.2,
            "message_dropout": 0.2,
            "init": "normal",
            "unit_start": True,
        },
    }
    presets = tuple(PRESETS)
    SPACE = (
        *Pairwise.SPACE,
        Choice("item_item", (0.0, 0.1, 1.0)),
        Choice("item", ("mean", "sum")),
    )

    def prepare(self, dataset: Dataset) -> None:
        """Make what each side takes from the other, and how many items each user met."""
        config, n_users, place = self.config, self.n_users, self.device.place
        self.order_nodes(dataset.interactions)
        self.reads = dataset.behaviors
        wholes = [self.pattern(one, "left") for one in dataset.interactions]
        degrees = [np.diff(whole.indptr) for whole in wholes]
        to_users, joined = [], []
        for whole, degree in zip(wholes, degrees, strict=True):
            to_users.append(to_side(whole, n_users, "users", None, inverse(degree, SMALL)))
            if config.item_graph == "binary":
                joined.append(met_together(whole, n_users, SMALL))
            else:  # the mean of users' means, which are here without SMALL
                exact = (degree + SMALL) * inverse(degree)
                joined.append(to_side(whole, n_users, "items", exact, inverse(degree)))
        scale = inverse(degrees[-1]) if config.item == "mean" else None
        self.graphs, self.to_users = place(tuple(wholes)), place(tuple(to_users))
        self.to_items = place(to_side(wholes[-1], n_users, "items", None, scale))
        self.joined = place(tuple(joined)) if config.item_item else ()
        counts = np.stack(degrees, axis=1).astype(self.dtype)
        counts[n_users:] = 0
        self.counts = place(counts)  # n_uk, (N, K)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """E, w, W, and V_k and B_k of each behaviour."""
        d, shapes = self.config.d, super().shapes()
        shapes |= {"behavior_weight": (len(self.behaviors),), "propagate": (d, d)}
        for k in range(len(self.behaviors)):
            shapes |= {f"item_item.{k}.weight": (d, d), f"item_item.{k}.score": (2 * d, 2 * d)}
        return shapes

    def initial(self) -> dict[str, Array]:
        """As the config says, from its seed; every w_k is 1."""
        values = super().initial()
        rng = stream(self.config.seed, "MBGCN's start")
        if self.config.init == "normal":
            values = {
                name: rng.normal(0, np.sqrt(2 / sum(one.shape)), one.shape)
                for name, one in values.items()
            }
        values["behavior_weight"] = np.ones(len(self.behaviors))
        return values

    def start_from(self, values: Mapping[str, Array]) -> None:
        """The other model's tables, with rows of length 1 where the config says so."""
        if self.config.unit_start:
            values = {
                name: _unit(value) if "embedding" in name else value
                for name, value in values.items()
            }
        super().start_from(values)

    def sampler(self, dataset: Dataset) -> TripleList:
        """Every train pair of the target once an epoch, with one negative."""
        return TripleList(dataset, *self.drawing)

    def thinned(self, sides: Sequence[OneSided], step: Any, first: int = 0) -> Sequence[OneSided]:
        """These, without the pairs that this step leaves out."""
        rate, seed = self.config.node_dropout, self.config.seed
        if step is None or not rate:
            return sides
        edges = self.device.kernels.dropout.edges
        return [
            OneSided(*(edges(one, rate, seed, step, k) for one in side))
            for k, side in enumerate(sides, first)
        ]

    def propagated(self, parameters: Mapping[str, Tensor], step: Any) -> tuple[Tensor | list, ...]:
        """E, Σ of an item's users, and of each behaviour h, t before V, and its mean M_k t."""
        E, K = self.table(parameters), len(self.behaviors)
        users = self.thinned(self.to_users, step)
        (to_items,) = self.thinned([self.to_items], step, K)
        h, p = [_carry(E, side) for side in users], _carry(E, to_items)
        if not self.config.item_item:
            return E, p, h, [], []
        sources = [E] * K
        if self.config.item_graph == "counted":
            sources = h if users is self.to_users else [_carry(E, one) for one in self.to_users]
        q = [_carry(x, side) for x, side in zip(sources, self.joined, strict=True)]
        return E, p, h, q, [_carry(x, side) for x, side in zip(q, users, strict=True)]

    def rows(
        self, parameters: Mapping[str, Tensor], nodes: Array, step: Any = None
    ) -> tuple[Tensor, list[Tensor]]:
        """F (n, 2d) of these nodes; and of each behaviour c_uk B_k of users, S_ki of items."""
        E, p, h, q, g = self.propagated(parameters, step)
        stacked, *h = ops.gather(*h, nodes=nodes)
        _, e, p = ops.gather(E, p, nodes=nodes)
        (counts,) = self.device.kernels.pairs.gather((self.counts,), nodes)
        a = ops.shares(parameters["behavior_weight"], counts=counts)
        both = ops.mix(a, stacked) + p
        F = ops.concatenate(e, ops.linear(both, parameters["propagate"]))
        if not q:
            return F, []
        (_, *q), (_, *g) = ops.gather(*q, nodes=nodes), ops.gather(*g, nodes=nodes)
        items = (nodes >= self.n_users).astype(self.dtype).reshape(1, -1)
        e, sides = ops.scale_rows(e, Tensor(items, self.device)), []
        for k, (h_k, q_k, g_k) in enumerate(zip(h, q, g, strict=True)):
            V, B = (parameters[f"item_item.{k}.{name}"] for name in ("weight", "score"))
            c, S = ops.concatenate(h_k, ops.linear(g_k, V)), ops.concatenate(e, ops.linear(q_k, V))
            sides.append(ops.linear(c, B) + S)
        return F, sides

    def scores(self, batch: Triples) -> tuple[Tensor, Tensor]:
        """Scores (2n,) of the batch's pairs, and its rows F (B, 2d)."""
        config, pairs = self.config, batch.pairs
        F, sides = self.rows(self.parameters, batch.nodes, batch.step)
        kept = F
        if config.message_dropout:
            drop = {"rate": config.message_dropout, "seed": config.seed, "step": batch.step}
            kept = ops.dropout(F, **drop)
        scores = ops.dot(kept, pairs=pairs, score_scale=1.0)
        for x in sides:
            scores = scores + ops.dot(x, pairs=pairs, score_scale=config.item_item / len(sides))
        return scores, F

    def losses(self, batch: Triples) -> dict[str, Tensor]:
        """The two parts of L."""
        scores, F = self.scores(batch)
        ends = batch.pairs.owner_ptr
        in_pairs = (ends[1:] - ends[:-1]).astype(self.dtype)  # of a triple a user is in both
        share = 2 * self.config.regularization / max(batch.count, 1)
        penalty = ops.penalty(F, weights=in_pairs)
        return {
            "loss.bpr": ops.bpr(scores, reduction="mean"),
            "loss.rows": ops.weigh(penalty, weights=(share,)),
        }

    def ranker(self) -> TableRanker:
        """Ranks by s with today's tables: one inner product of rows side by side.

        E_i is the first half of every S_k, so what users have for it is added up.
        """
        everybody, d = (
            self.device.xp.arange(self.n_users + self.n_items, dtype="int32"),
            self.config.d,
        )
        with no_grad():
            F, sides = self.rows(self.ranking, everybody)
        F, *sides = self.in_own_order([F.data, *(one.data for one in sides)])
        users, items = (
            [one[here] for one in (F, *sides)]
            for here in (slice(self.n_users), slice(self.n_users, None))
        )
        share = self.dtype(self.config.item_item / max(len(sides), 1))
        for x in users[1:]:
            users[0][:, :d] += share * x[:, :d]
        left = [users[0], *(share * x[:, d:] for x in users[1:])]
        right = [items[0], *(x[:, d:] for x in items[1:])]
        left, right = (self.device.xp.concatenate(side, axis=1) for side in (left, right))
        return TableRanker(DotScorer(left, right), self.device)

    @classmethod
    def bytes(cls, config: MbgcnConfig, shape: Shape) -> int:
        """Tables with gradient, moments and average; both directions of each pattern; a step's."""
        item, nodes, K = config.dtype.itemsize, shape.n_users + shape.n_items, len(shape.edges)
        table, lists = nodes * config.d * item, 1 + bool(config.item_item)
        halves = sum(lists * (2 * n * INDEX + 2 * nodes * (2 * item + INDEX)) for n in shape.edges)
        if config.item_item and config.item_graph == "binary":
            halves += K * shape.n_items**2 * INDEX
        rows = 3 * config.batch * config.d * item * (8 + 20 * K * bool(config.item_item))
        step = (6 + 2 * K * lists) * table + rows
        return (5 if config.average else 4) * table + halves + shape.steps_held * step


def _carry(x: Tensor, side: OneSided) -> Tensor:
    """The product with one side's pattern."""
    return ops.spread(x, adjacency=side.forth, back=side.back)


def _unit(table: Array) -> Array:
    """Rows of length 1; one of zeros stays."""
    length = np.sqrt(np.sum(table * table, axis=1, keepdims=True))
    return table / np.where(length > 0, length, 1)
