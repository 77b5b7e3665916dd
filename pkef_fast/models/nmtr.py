"""NMTR: behaviours predicted one after the other by one model (Gao et al., ICDE 2019).

    F_k(u, i) = ReLU(x W_k + c_k) h_k                      their Sec. III-B, by `unit`:
                x = p_u ∘ q_i               gmf, W_k d × d and no c_k
                x = [p_u | q_i]             mlp
                x = [p_u | q_i | p_u ∘ q_i] ncf; both to half the width of x
    o_1 = F_1 + b_i,   o_k = (F_k + o_{k−1})/2 + b_i       Sec. III-C; `half` false: not halved
    L = Σ_k λ_k · mean log-loss(σ(o_k), y_k)               Sec. III-D

The items' bias b is the same at every level and o_k is halved, as the release has it; the paper's
formula sums. Every pair of any behaviour is a positive, with its own labels; negatives are outside
of all behaviours. The release takes a strict funnel for granted (`funnel_labels`). Defaults: the
comparison in the PKEF paper; the release's optimiser is Adagrad, ours is Adam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..config.fields import field, wrong
from ..config.space import Choice, Range
from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..tape import ops
from ..tape.autograd import Tensor, no_grad
from ..train.config import patience
from ..train.protocol import ALL, About
from .by_behavior import one_each
from .labels import Labelled, LabelList
from .network_ranker import NetworkRanker, Product, Tower
from .pointwise import Pointwise, PointwiseConfig

SMALL = 0.01  # standard deviation of the tables at the start
UNITS = {"gmf": 1, "mlp": 2, "ncf": 3}  # widths of x, in d


@dataclass(frozen=True)
class NmtrConfig(PointwiseConfig):
    """NMTR's interaction functions and how they are trained."""

    d: int = field(64, "size of an embedding", low=1)
    unit: str = field("ncf", "interaction function F_k", choices=tuple(UNITS))
    layers: int = field(1, "hidden layers of F_k, each half as wide; gmf has one", low=1)
    half: bool = field(True, "o_k is the mean of F_k and o_{k−1} (release), else their sum (paper)")
    coefficients: tuple[float, ...] = field(
        (), "λ of each behaviour, upstream to target; none: one over their number", low=0
    )
    funnel_labels: bool = field(
        False, "a pair of m behaviours counts as one of the first m (release), else its own labels"
    )
    regularization: float = field(0.0, "penalty on the squares of the users' table and W_k", low=0)
    item_regularization: float = field(0.0, "penalty on the squares of the items' table", low=0)
    epochs: int = field(100, "most passes over the pairs of all behaviours", low=0, group="passes")
    patience: int | None = patience(10)

    def checked(self, behaviors: Sequence[str]) -> NmtrConfig:
        """This config with its λ, or an InputError naming the wrong field."""
        count = len(behaviors)
        config = one_each(self, "coefficients", behaviors, (1 / count,) * count)
        if config.unit == "gmf" and config.layers != 1:
            raise wrong("layers", config.layers, "1, for the unit gmf has one hidden layer")
        if config.hidden[-1] < 1:
            raise wrong("layers", config.layers, f"fewer, for embeddings of {config.d}")
        return super(NmtrConfig, config).checked(behaviors)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of F_k's hidden layers."""
        if self.unit == "gmf":
            return (self.d,)
        return tuple(UNITS[self.unit] * self.d >> layer for layer in range(1, self.layers + 1))


class Nmtr(Pointwise):
    """The model; see the module."""

    about = About("Gao et al., NMTR, ICDE", 2019, ALL)
    Config = NmtrConfig
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "gmf": {"unit": "gmf"},
        "mlp": {"unit": "mlp"},
        "release": {"funnel_labels": True, "epochs": 30},
    }
    presets = tuple(PRESETS)
    SPACE = (
        Range("lr", 3e-4, 1e-2, log=True),
        Choice("unit", tuple(UNITS)),
        Choice("half", (True, False)),
        Choice("d", (32, 64)),
    )

    def prepare(self, dataset: Dataset) -> None:
        """Nothing is propagated."""
        self.levels = range(len(dataset.behaviors))

    @property
    def learned(self) -> tuple[str, ...]:
        """All behaviours."""
        return self.behaviors

    def weights(self) -> tuple[float, ...]:
        """λ."""
        return self.config.coefficients

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tables, the items' bias, and each behaviour's unit."""
        config, shapes = self.config, super().shapes()
        shapes["item_bias"] = (self.n_items,)
        for k in self.levels:
            unit, width = f"unit.{k}", UNITS[config.unit] * config.d
            for layer, wide in enumerate(config.hidden):
                name = f"{unit}.layer.{layer}" if layer else unit
                shapes[f"{name}.weight"] = (width, wide)
                if config.unit != "gmf":
                    shapes[f"{name}.bias"] = (wide,)
                width = wide
            shapes[f"{unit}.output"] = (width,)
        return shapes

    def initial(self) -> dict[str, Array]:
        """Tables normal of 0.01, none beyond 0.02; W_k and h_k uniform by fan-in; biases zero."""
        rng, values = stream(self.config.seed, "NMTR's start"), {}
        for name, shape in self.shapes().items():
            if name.endswith("embedding"):
                values[name] = truncated_normal(rng, shape)
            elif name.endswith("bias"):
                values[name] = np.zeros(shape)
            else:
                limit = np.sqrt(3 / shape[0])
                values[name] = rng.uniform(-limit, limit, shape)
        return values

    def decay(self, name: str) -> float:
        """As the config says."""
        if name == "item_embedding":
            return self.config.item_regularization
        penalised = name == "user_embedding" or name.endswith("weight")
        return self.config.regularization if penalised else 0.0

    def sampler(self, dataset: Dataset) -> LabelList:
        """Every pair of any behaviour with its negatives."""
        config = self.config
        return LabelList(
            dataset.interactions,
            (dataset.n_users, dataset.n_items),
            config.negatives,
            config.batch,
            config.seed,
            self.device.kernels,
            self.dtype,
            config.funnel_labels,
        )

    def parts(self, k: int, parameters: Mapping[str, Tensor]) -> tuple[Tensor | None, ...]:
        """Rows of W_k that meet p_u, q_i and p_u ∘ q_i; None where x lacks that."""
        weight, d = parameters[f"unit.{k}.weight"], self.config.d
        if self.config.unit == "gmf":
            return None, None, weight
        users, rest = ops.split_rows(weight, at=d)
        if self.config.unit == "mlp":
            return users, rest, None
        return users, *ops.split_rows(rest, at=d)

    def layer(self, k: int, layer: int, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Weight and bias of a hidden layer of F_k after the first."""
        name = f"unit.{k}.layer.{layer}"
        return parameters[f"{name}.weight"], parameters[f"{name}.bias"]

    def scores(self, batch: Labelled) -> list[Tensor]:
        """o_k of each pair. F_k's first layer is a sum of parts of the user, item and product."""
        own, config, pairs = self.parameters, self.config, batch.pairs
        p, q = self.rows(batch, "user_embedding", "item_embedding")
        product = None
        if config.unit != "mlp":
            product = ops.pair_product(ops.stack_rows(p, q), pairs=pairs)
        bias, result = self._bias(batch), []
        for k in self.levels:
            W_u, W_i, W_p = self.parts(k, own)
            hidden = []
            if W_u is not None:
                halves = ops.affine(p, W_u, own[f"unit.{k}.bias"]), ops.linear(q, W_i)
                hidden.append(ops.pair_sum(ops.stack_rows(*halves), pairs=pairs))
            if W_p is not None:
                hidden.append(ops.linear(product, W_p))
            hidden = ops.relu(sum(hidden[1:], hidden[0]))
            for layer in range(1, config.layers):
                hidden = ops.relu(ops.affine(hidden, *self.layer(k, layer, own)))
            o = ops.linear(hidden, ops.reshape(own[f"unit.{k}.output"], shape=(-1, 1)))  # F_k
            if result:
                o = o + result[-1]
                o = 0.5 * o if config.half else o
            result.append(o + bias)
        return [ops.reshape(o, shape=(-1,)) for o in result]

    def _bias(self, batch: Labelled) -> Tensor:
        """b_i of each pair, (n, 1)."""
        table = ops.reshape(self.parameters["item_bias"], shape=(-1, 1))
        _, items = ops.gather(table, nodes=batch.items)
        zeros = self.device.xp.zeros((len(batch.users), 1), self.dtype)
        return ops.pair_sum(ops.stack_rows(Tensor(zeros, self.device), items), pairs=batch.pairs)

    def ranker(self) -> NetworkRanker:
        """Ranks by o_K, a weighed sum of all F_k and b_i."""
        own, linear = self.ranking, self.device.kernels.linear
        p, q = own["user_embedding"].data, own["item_embedding"].data
        towers, bias, share = [], 0.0, 1.0
        for k in reversed(self.levels):
            # o_k = (F_k + o_{k−1})/2 + b_i for k > 1: what comes before is halved once more.
            bias += share
            share *= 0.5 if self.config.half and k else 1.0
            with no_grad():
                W_u, W_i, W_p = self.parts(k, own)
            sides = {}
            if W_u is not None:
                sides["users"] = linear.affine(p, W_u.data, own[f"unit.{k}.bias"].data)
                sides["items"] = linear.affine(q, W_i.data, None)
            if W_p is not None:
                sides["product"] = Product(p, q, W_p.data)
            layers = [self.layer(k, layer, own) for layer in range(1, self.config.layers)]
            towers.append(
                Tower(
                    output=own[f"unit.{k}.output"].data * self.dtype(share),
                    layers=[(weight.data, bias.data) for weight, bias in layers],
                    **sides,
                )
            )
        constant = own["item_bias"].data * self.dtype(bias)
        return NetworkRanker(towers, constant, self.device)

    @classmethod
    def widths(cls, config: NmtrConfig, n_behaviors: int) -> tuple[int, int, int]:
        """See `Pointwise`."""
        wide = UNITS[config.unit] * config.d
        widths = (wide, *config.hidden)
        matrices = sum(a * b + b for a, b in pairwise(widths)) + widths[-1]
        row = 6 * config.d + n_behaviors * 8 * sum(config.hidden)
        return config.d + 1, n_behaviors * matrices, row

    @classmethod
    def pairs_of(cls, edges: Sequence[int]) -> tuple[int, int]:
        """All behaviours, and pairs as if no two of them shared any."""
        return len(edges), sum(edges)

    @staticmethod
    def tiny(config: NmtrConfig) -> NmtrConfig:
        """Small tables and batches."""
        return config.replaced(d=min(config.d, 8 << config.layers), batch=12)


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers of `SMALL`; what is beyond twice that is drawn again."""
    values = rng.normal(0, SMALL, shape)
    while (beyond := np.abs(values) > 2 * SMALL).any():
        values[beyond] = rng.normal(0, SMALL, np.count_nonzero(beyond))
    return values
