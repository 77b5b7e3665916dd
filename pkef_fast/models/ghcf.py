"""GHCF: graph heterogeneous collaborative filtering, trained on all pairs (Chen et al., AAAI 2021).

    X_{l+1} = drop(Σ_k λ_k·LReLU_0.2((Ã_k X_l ∘ r_k^l) W_l))    Ã_k = D_k^-½ A_k D_k^-½, X_0 = E
    r_k^{l+1} = r_k^l R_l                                       relations pass through layers too
    Z = mean_l X_l,   r̄_k = mean_l r_k^l                        l = 0 … L
    s_k(u, i) = Σ_a z_ua z_ia r̄_ka

    L_k = Σ_{u∈B} Σ_i c_ui (y_ui − s_k(u, i))²                  c = 1 where u did k with i, else w
    L = Σ_k λ_k L_k + reg·½(‖Z_B‖² + ‖Z_I‖²)                    B a batch of users, I all items

No pair is drawn: `kernels.allpairs` has L_k, up to a constant, at the cost of the pairs that met.
λ_k weighs a behaviour's messages as well as its loss (release), so with λ_k = 0 it is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..config.fields import field, plain, wrong
from ..config.space import Choice, Range, Space
from ..data.dataset import Dataset
from ..evaluate.rankers import TableRanker
from ..kernels.propagate import Adjacency
from ..kernels.rank import DotScorer
from ..tape import ops
from ..tape.autograd import Tensor, no_grad
from ..train.config import TrainConfig, patience
from ..train.protocol import ALL, About, Shape
from .by_behavior import one_each
from .parametric import Parametric
from .user_batches import UserBatch, UserBatches

SLOPE = 0.2  # of LReLU where it is negative
INDEX = 4  # bytes of an index


@dataclass(frozen=True)
class GhcfConfig(TrainConfig):
    """GHCF's depth, its loss and how it is trained; releases: its authors' for two data sets."""

    d: int = field(64, "size of an embedding", low=1)
    layers: int = field(4, "layers L; release 4", low=0)
    coefficients: tuple[float, ...] = field(
        (),
        "weight λ of each behaviour's messages and loss, upstream to target; release 1/6,4/6,1/6 "
        "(Taobao) and 0,5/6,1/6 (Beibei)",
        low=0,
    )
    negative_weight: float = field(
        0.01, "weight w of a pair that did not meet; release 0.01 and 0.1", low=0, high=1
    )
    regularization: float = field(
        0.01, "penalty reg·½ on the squares of a batch's rows of Z; release 0.01 and 10", low=0
    )
    edge_dropout: float = field(
        0.0, "share of each graph's edges that a step leaves out; release 0.1", low=0
    )
    message_dropout: float = field(
        0.0, "share of each layer's entries that a step leaves out; release 0.2", low=0
    )
    batch: int = field(256, "users of a step; release 256", low=1, group="passes")
    epochs: int = field(500, "most passes over the users", low=0, group="passes")
    patience: int | None = patience(50)

    def checked(self, behaviors: Sequence[str]) -> GhcfConfig:
        """This config with its coefficients, or an InputError naming the wrong field."""
        default = coefficients_of(len(behaviors), 1 / 6)
        config = one_each(self, "coefficients", behaviors, default)
        if not config.coefficients[-1] > 0:
            found = plain(config.coefficients)
            raise wrong("coefficients", found, "more than 0 for the target behaviour")
        for name in ("edge_dropout", "message_dropout"):
            if getattr(self, name) >= 1:
                raise wrong(name, getattr(self, name), "less than 1, or nothing would be left")
        return super(GhcfConfig, config).checked(behaviors)


def coefficients_of(n_behaviors: int, first: float) -> tuple[float, ...]:
    """λ: the target has 1/6, the first behaviour `first`, those between them share the rest.

    Release, for three behaviours; our choice after its pattern for others.
    """
    if n_behaviors < 3:
        return ((5 / 6, 1 / 6) if n_behaviors == 2 else (1.0,))[-n_behaviors:]
    between = n_behaviors - 2
    return (first, *((5 / 6 - first) / between,) * between, 1 / 6)


class Ghcf(Parametric):
    """The model; see the module."""

    about = About("Chen et al., GHCF, AAAI", 2021, ALL)
    Config = GhcfConfig
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "release": {"edge_dropout": 0.1, "message_dropout": 0.2},
        "release-beibei": {
            "edge_dropout": 0.1,
            "message_dropout": 0.2,
            "negative_weight": 0.1,
            "regularization": 10.0,
        },
    }
    presets = tuple(PRESETS)

    @classmethod
    def preset(cls, name: str, behaviors: Sequence[str]) -> GhcfConfig:
        """The config of a preset; InputError for an unknown name."""
        first = 0.0 if name == "release-beibei" else 1 / 6
        weights = coefficients_of(len(behaviors), first)
        return super().preset(name, behaviors).replaced(coefficients=weights)

    def prepare(self, dataset: Dataset) -> None:
        """Make Ã_k of every behaviour that counts."""
        self.live = [k for k, weight in enumerate(self.config.coefficients) if weight > 0]
        self.order_nodes([dataset.interactions[k] for k in self.live])
        self.reads = tuple(dataset.behaviors[k] for k in self.live)
        self.graphs = tuple(self.adjacency(dataset.interactions[k], "symmetric") for k in self.live)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """E, the relations r_k^0, and W_l and R_l of each layer."""
        d, shapes = self.config.d, super().shapes()
        shapes["relation"] = (len(self.config.coefficients), d)
        for layer in range(self.config.layers):
            shapes[f"layer.{layer}.weight"] = shapes[f"layer.{layer}.relation"] = (d, d)
        return shapes

    def sampler(self, dataset: Dataset) -> UserBatches:
        """Some users for each step, with all that they did."""
        config = self.config
        settings = (config.batch, config.seed, self.device.kernels, self.places)
        return UserBatches(dataset, self.live, *settings)

    def representations(
        self, parameters: Mapping[str, Tensor], step: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Z (N, d) and r̄ (K, d); of a training step, whose number decides what is left out."""
        config, graphs = self.config, self.thinned(step)
        X, r = self.table(parameters), parameters["relation"]
        outputs, relations = [X], [r]
        for layer in range(config.layers):
            W, messages = parameters[f"layer.{layer}.weight"], []
            for k, graph in zip(self.live, graphs, strict=True):
                # λ LReLU((Ã X ∘ r) W) = LReLU(Ã (X (λ diag(r) W))): two small products, no tables
                W_k = config.coefficients[k] * ops.scale_rows(W, r, k=k)
                message = ops.spread(ops.linear(X, W_k), adjacency=graph)
                messages.append(ops.leaky_relu(message, slope=SLOPE))
            X = sum(messages[1:], messages[0])
            if step is not None and config.message_dropout:
                settings = {"rate": config.message_dropout, "seed": config.seed, "step": step}
                X = ops.dropout(X, **settings, stream=layer)
            r = ops.linear(r, parameters[f"layer.{layer}.relation"])
            outputs.append(X)
            relations.append(r)
        return ops.mean(*outputs), ops.mean(*relations)

    def thinned(self, step: Any) -> Sequence[Adjacency]:
        """The graphs, without the edges that this step leaves out."""
        rate, seed = self.config.edge_dropout, self.config.seed
        if step is None or not rate:
            return self.graphs
        edges = self.device.kernels.dropout.edges
        return [edges(graph, rate, seed, step, k) for k, graph in enumerate(self.graphs)]

    def losses(self, batch: UserBatch) -> dict[str, Tensor]:
        """L_k of every behaviour that counts, and the penalty on the rows of Z."""
        Z, relation = self.representations(self.parameters, batch.step)
        _, z = ops.gather(Z, nodes=batch.nodes)
        users, items = (ops.gram(side) for side in ops.split_rows(z, at=batch.users))
        weight, losses = self.config.negative_weight, {}
        for k in self.live:
            scores = ops.bilinear(z, relation, k=k, pairs=batch.pairs[k], score_scale=1.0)
            everything = ops.all_pairs(users, items, relation, k=k, weight=weight)
            met = ops.met_pairs(scores, weight=weight)
            losses[f"loss.{k}"] = ops.weigh(everything, met, weights=(1.0, 1.0))
        losses["loss.rows"] = ops.weigh(ops.half_squares(z), weights=(self.config.regularization,))
        return losses

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """L."""
        weights = (*(self.config.coefficients[k] for k in self.live), 1.0)
        return ops.weigh(*losses.values(), weights=weights)

    def ranker(self) -> TableRanker:
        """Ranks by the target's scores s_K with today's tables."""
        with no_grad():
            Z, relation = self.representations(self.ranking)
        (z,) = self.in_own_order([Z.data])
        users, items = z[: self.n_users] * relation.data[-1], z[self.n_users :]
        return TableRanker(DotScorer(users, items), self.device)

    @classmethod
    def space(cls, behaviors: Sequence[str]) -> Space:
        """What a search may choose from."""
        weights = {coefficients_of(len(behaviors), first): None for first in (1 / 6, 0.0)}
        return (
            Range("lr", 3e-4, 3e-3, log=True),
            Range("layers", 1, 4),
            Choice("negative_weight", (0.01, 0.03, 0.1)),
            Range("regularization", 1e-3, 10.0, log=True),
            Choice("message_dropout", (0.0, 0.2)),
            Choice("coefficients", tuple(plain(one) for one in weights)),
        )

    @staticmethod
    def tiny(config: GhcfConfig) -> GhcfConfig:
        """Small tables and batches."""
        return config.replaced(d=min(config.d, 8), batch=12)

    @classmethod
    def bytes(cls, config: GhcfConfig, shape: Shape) -> int:
        """Tables with gradient, moments and average; patterns; what the layers keep; the pairs."""
        item, nodes = config.dtype.itemsize, shape.n_users + shape.n_items
        table, live = nodes * config.d * item, sum(one > 0 for one in config.coefficients)
        read = [n for n, one in zip(shape.edges, config.coefficients, strict=True) if one > 0]
        drops = 2 if config.edge_dropout else 1
        patterns = sum(drops * 2 * n * INDEX + nodes * (2 * item + 2 * INDEX) for n in read)
        share = min(1.0, config.batch / max(shape.n_users, 1))
        pairs = sum(share * n * (8 * INDEX + 2 * item) for n in read)
        rows = 4 * (config.batch + shape.n_items) * config.d * item * live
        step = (config.layers * (live + 1) + 6) * table + rows + int(pairs)
        return (5 if config.average else 4) * table + patterns + shape.steps_held * step
