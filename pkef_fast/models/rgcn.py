"""RGCN: a graph convolution whose weights differ by relation (Schlichtkrull et al., ESWC 2018).

    X_0 = E,   Y_k = D_k⁻¹ A_k X_l                                           (1)
    X_{l+1} = ReLU(Σ_k Y_k W_k^l + X_l W_0^l)                                (2)
    W_k^l = Σ_b c_kb^l B_b^l  where `bases` are asked for                    (3)
    Z = X_L,   s(u, i) = ⟨z_u, z_i⟩                                          (4)
    L = mean softplus(−(s⁺ − s⁻)) + reg·(½‖rows of E‖² + ½Σ‖W‖²) / n         (5)

Numbers are this page's. The paper classifies entities; this is the form in which recommenders are
compared with it. A relation is a behaviour, and its two directions, messages to users and to items,
share a weight unless `directed`. It learns the target's pairs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..config.fields import field
from ..config.space import Choice, Range
from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import ALL, About
from .pairwise import Pairwise, PairwiseConfig
from .parametric import glorot
from .triples import TripleList


@dataclass(frozen=True)
class RgcnConfig(PairwiseConfig):
    """RGCN's depth, weights and activations, and how it is trained."""

    layers: int = field(2, "layers L; the comparison chooses 1 to 4 on validation items", low=0)
    directed: bool = field(False, "messages to users and to items have weights of their own")
    bases: int = field(0, "matrices B that a layer's weights are mixed of (3); 0: none", low=0)
    slope: float = field(
        0.0, "of the activation below zero; 0: ReLU; 0.2 where rows die of it", low=0, high=1
    )
    last_activation: bool = field(
        True, "the last layer ends with the activation, too; scores are then not negative"
    )
    mixing: str = field(
        "last", "Z: the last layer, or the mean of all, E too", choices=("last", "mean")
    )
    epochs: int = field(400, "most passes over the train pairs", low=0, group="passes")
    patience: int | None = patience(50)


class Rgcn(Pairwise):
    """The model; see the module."""

    about = About("Schlichtkrull et al., RGCN, ESWC", 2018, ALL)
    Config = RgcnConfig
    SPACE = (
        *Pairwise.SPACE,
        Range("layers", 1, 4),
        Choice("last_activation", (True, False)),
        Choice("slope", (0.0, 0.2)),
    )

    def prepare(self, dataset: Dataset) -> None:
        """Make D⁻¹A of every behaviour, and the names of its weights in each layer."""
        self.order_nodes(dataset.interactions)
        self.reads = dataset.behaviors
        self.graphs = tuple(self.adjacency(one, "left") for one in dataset.interactions)
        kinds = ("to_user", "to_item") if self.config.directed else ("weight",)
        self.weights = [f"{k}.{kind}" for k in range(len(self.graphs)) for kind in kinds]
        self.matrices = tuple(
            name for name in self.shapes() if not name.endswith(("_embedding", ".coefficients"))
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """E, and the weights W of each layer, or what they are mixed of."""
        (d, bases), shapes = (self.config.d, self.config.bases), super().shapes()
        for one in (f"layer.{n}" for n in range(self.config.layers)):
            shapes[f"{one}.self"] = (d, d)
            if bases:
                shapes[f"{one}.bases"] = (bases, d * d)
                shapes[f"{one}.coefficients"] = (len(self.weights), bases)
            else:
                shapes |= {f"{one}.{weight}": (d, d) for weight in self.weights}
        return shapes

    def initial(self) -> dict[str, Array]:
        """As of any `Parametric`, with bases that begin as the matrices that they are."""
        values, rng, d = super().initial(), stream(self.config.seed, "RGCN's bases"), self.config.d
        for name in values:
            if name.endswith(".bases"):
                values[name] = np.stack([glorot(rng, (d, d)).ravel() for _ in values[name]])
        return values

    def sampler(self, dataset: Dataset) -> TripleList:
        """Every train pair of the target once an epoch, with one negative."""
        return TripleList(dataset, *self.drawing)

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """E and Z."""
        # Products apart: one wide product of all Y beside X takes 29 ms where these take 20, with
        # their adjoints (27,402 × 64, three behaviours, two threads), for it copies every Y.
        config, outputs = self.config, [self.table(parameters)]
        for n in range(config.layers):
            weights, X = self.weights_of(parameters, n), outputs[-1]
            parts = [ops.linear(X, parameters[f"layer.{n}.self"])]
            for k, graph in enumerate(self.graphs):
                Y = ops.spread(X, adjacency=graph)  # (1)
                parts.append(self.transformed(Y, k, weights))
            X = ops.total(*parts)  # (2)
            if config.last_activation or n + 1 < config.layers:
                X = ops.leaky_relu(X, slope=config.slope) if config.slope else ops.relu(X)
            outputs.append(X)
        return outputs[0], outputs[-1] if config.mixing == "last" else ops.mean(*outputs)

    def weights_of(self, parameters: Mapping[str, Tensor], layer: int) -> dict[str, Tensor]:
        """The weights W (d, d) of a layer by name."""
        prefix = f"layer.{layer}"
        if not self.config.bases:
            return {name: parameters[f"{prefix}.{name}"] for name in self.weights}
        mixed = ops.linear(parameters[f"{prefix}.coefficients"], parameters[f"{prefix}.bases"])
        return dict(zip(self.weights, ops.matrices(mixed, rows=self.config.d), strict=True))  # (3)

    def transformed(self, Y: Tensor, k: int, weights: Mapping[str, Tensor]) -> Tensor:
        """Messages of behaviour k by its weight, or each direction's by its own."""
        if not self.config.directed:
            return ops.linear(Y, weights[f"{k}.weight"])
        users, items = ops.split_rows(Y, at=self.n_users)
        to_users = ops.linear(users, weights[f"{k}.to_user"])
        return ops.stack_rows(to_users, ops.linear(items, weights[f"{k}.to_item"]))

    @classmethod
    def tables(cls, config: RgcnConfig, n_behaviors: int) -> int:
        """Of a layer every Y before and after its weight, X, the sum; and gradients."""
        return config.layers * (2 * n_behaviors + 3 + 2 * config.directed) + 5
