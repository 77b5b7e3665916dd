"""NeuMF: neural matrix factorisation, a product beside a network (He et al., WWW 2017).

    g = p_u ∘ q_i                                          GMF, their Eq. 8
    m_0 = [p'_u | q'_i],   m_l = ReLU(m_{l−1} W_l + b_l)   MLP, Eq. 10
    s(u, i) = [g | m_L] w + b,   ŷ = σ(s)                  Eq. 12
    L = mean −y ln ŷ − (1 − y) ln(1 − ŷ) + reg·‖tables‖²   Eq. 7

It reads the target behaviour alone; negatives are items outside the user's train list. Defaults:
the comparison in the PKEF paper. `release`: the authors' sizes. Without pre-training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..config.fields import field
from ..config.space import Choice, Range
from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import TARGET, About
from .labels import Labelled, LabelList
from .network_ranker import NetworkRanker, Tower
from .pointwise import Pointwise, PointwiseConfig, no_layers

TABLES = ("gmf_user", "gmf_item", "mlp_user", "mlp_item")
SMALL = 0.01  # standard deviation of the tables at the start


@dataclass(frozen=True)
class NeuMfConfig(PointwiseConfig):
    """NeuMF's sizes and how it is trained."""

    gmf_factors: int = field(64, "size f of an embedding of the product; release 8", low=1)
    layers: tuple[int, ...] = field(
        (128, 64, 32, 16),
        "widths h_0, …, h_L of the network: of its input, half of it the user's and half the "
        "item's, then of its layers; release 64,32,16,8",
        low=1,
    )
    regularization: float = field(
        1e-6, "penalty reg on the squares of the four tables; release 0", low=0
    )
    epochs: int = field(100, "most passes over the train pairs", low=0, group="passes")
    patience: int | None = patience(10)

    def checked(self, behaviors: Sequence[str]) -> NeuMfConfig:
        """This config, or an InputError naming the wrong field."""
        config = super().checked(behaviors)
        if len(config.layers) < 2 or config.layers[0] % 2:
            raise no_layers("layers")
        return config


class NeuMf(Pointwise):
    """The model; see the module."""

    about = About("He et al., NCF, WWW", 2017, TARGET)
    Config = NeuMfConfig
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "release": {
            "gmf_factors": 8,
            "layers": (64, 32, 16, 8),
            "regularization": 0.0,
            "batch": 256,
        },
    }
    presets = tuple(PRESETS)
    SPACE = (
        Range("lr", 3e-4, 1e-2, log=True),
        Range("regularization", 1e-8, 1e-4, log=True),
        Choice("gmf_factors", (16, 32, 64)),
        Choice("layers", ("64,32,16,8", "128,64,32,16", "256,128,64,32")),
    )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Four tables, the network's layers, and the output's weight."""
        f, widths = self.config.gmf_factors, self.config.layers
        sides = (("user", self.n_users), ("item", self.n_items))
        shapes = {f"gmf_{side}": (n, f) for side, n in sides}
        shapes |= {f"mlp_{side}": (n, widths[0] // 2) for side, n in sides}
        for layer, (a, b) in enumerate(pairwise(widths)):
            shapes |= {f"mlp.{layer}.weight": (a, b), f"mlp.{layer}.bias": (b,)}
        return {**shapes, "output.weight": (f + widths[-1], 1), "output.bias": (1,)}

    def initial(self) -> dict[str, Array]:
        """Tables normal of 0.01, layers Glorot-uniform, the output LeCun-uniform, biases zero."""
        values, rng = super().initial(), stream(self.config.seed, "NeuMF's start")
        for name in TABLES:
            values[name] = rng.normal(0, SMALL, values[name].shape)
        limit = np.sqrt(3 / len(values["output.weight"]))
        values["output.weight"] = rng.uniform(-limit, limit, values["output.weight"].shape)
        return values

    def decay(self, name: str) -> float:
        """reg on the tables."""
        return self.config.regularization if name in TABLES else 0.0

    def sampler(self, dataset: Dataset) -> LabelList:
        """Every train pair of the target with its negatives."""
        config = self.config
        return LabelList(
            dataset.interactions[-1:],
            (dataset.n_users, dataset.n_items),
            config.negatives,
            config.batch,
            config.seed,
            self.device.kernels,
            self.dtype,
        )

    def scores(self, batch: Labelled) -> list[Tensor]:
        """s of each pair. The first layer is made for users and items apart: m_0 W_1 is a sum."""
        own, pairs = self.parameters, batch.pairs
        g = ops.pair_product(ops.stack_rows(*self.rows(batch, *TABLES[:2])), pairs=pairs)
        users, items = self.rows(batch, *TABLES[2:])
        W_u, W_i = ops.split_rows(own["mlp.0.weight"], at=users.shape[1])
        halves = ops.affine(users, W_u, own["mlp.0.bias"]), ops.linear(items, W_i)
        m = ops.relu(ops.pair_sum(ops.stack_rows(*halves), pairs=pairs))
        for layer in range(1, len(self.config.layers) - 1):
            m = ops.relu(ops.affine(m, own[f"mlp.{layer}.weight"], own[f"mlp.{layer}.bias"]))
        w_g, w_m = ops.split_rows(own["output.weight"], at=self.config.gmf_factors)
        s = ops.linear(g, w_g) + ops.affine(m, w_m, own["output.bias"])
        return [ops.reshape(s, shape=(-1,))]

    def ranker(self) -> NetworkRanker:
        """Ranks by s; ŷ rises with it."""
        of, affine = self.of_ranking, self.device.kernels.linear.affine
        half = self.config.layers[0] // 2
        weight, f = of("mlp.0.weight"), self.config.gmf_factors
        tower = Tower(
            users=affine(of("mlp_user"), weight[:half], of("mlp.0.bias")),
            items=affine(of("mlp_item"), weight[half:], None),
            layers=tuple(
                (of(f"mlp.{layer}.weight"), of(f"mlp.{layer}.bias"))
                for layer in range(1, len(self.config.layers) - 1)
            ),
            output=of("output.weight")[f:, 0],
        )
        left = of("gmf_user") * of("output.weight")[:f, 0]
        constant = self.device.xp.zeros(self.n_items, self.dtype) + of("output.bias")
        return NetworkRanker([tower], constant, self.device, left, of("gmf_item"))

    @staticmethod
    def tiny(config: NeuMfConfig) -> NeuMfConfig:
        """Small tables and batches, as many layers."""
        widths = tuple(min(width, 8) for width in config.layers)
        return config.replaced(gmf_factors=min(config.gmf_factors, 8), layers=widths, batch=12)

    @classmethod
    def widths(cls, config: NeuMfConfig, n_behaviors: int) -> tuple[int, int, int]:
        """See `Pointwise`."""
        f, layers = config.gmf_factors, config.layers
        matrices = sum(a * b + b for a, b in pairwise(layers))
        return f + layers[0] // 2, matrices, 4 * f + 3 * layers[0] + 2 * sum(layers[1:])
