"""LightGCN: embeddings averaged over a graph, nothing else (He et al., SIGIR 2020).

    X_0 = E,   X_{l+1} = Ã X_l,   Ã = D^-½ A D^-½          their Eq. 3, 7
    Z = 1/(L + 1) · Σ_{l=0..L} X_l                         Eq. 4, 8
    s(u, i) = ⟨z_u, z_i⟩                                   Eq. 9
    L = Σ −ln σ(s(u, i⁺) − s(u, i⁻)) + λ‖E rows‖²          Eq. 12

A is the graph of the target behaviour, or with `behavior` that of another one, whose pairs it then
learns too: so tables are made ready for a model of all behaviours (`--init-from`). It ranks for the
target in any case. Defaults: the comparison in the PKEF paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..config.fields import field, wrong
from ..config.space import Range
from ..data.dataset import Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import TARGET, About, Shape
from .pairwise import Pairwise, PairwiseConfig
from .triples import OnePerUser


@dataclass(frozen=True)
class LightGcnConfig(PairwiseConfig):
    """LightGCN's depth and how it is trained."""

    layers: int = field(3, "layers L; the comparison chooses 1 to 4 on validation items", low=0)
    mixing: str = field(
        "mean", "Z: mean of all layers (paper), or the last one alone", choices=("mean", "last")
    )
    behavior: str = field(
        "target",
        "whose graph and pairs it learns: target, a behaviour's name, or its number from 0",
    )
    epochs: int = field(
        1000, "most passes, of as many triples as train pairs", low=0, group="passes"
    )
    patience: int | None = patience(100)

    @property
    def number(self) -> int:
        """Number of the behaviour that it learns, −1 for the target; known once checked."""
        return -1 if self.behavior == "target" else int(self.behavior)

    def checked(self, behaviors: Sequence[str]) -> LightGcnConfig:
        """This config with the behaviour's number, or an InputError naming the wrong field."""
        name, numbers = self.behavior, [str(k) for k in range(len(behaviors))]
        if name in behaviors:
            name = numbers[list(behaviors).index(name)]
        elif name not in ("target", *numbers):
            raise wrong("behavior", name, f"target, {', '.join(behaviors)}, or a number of these")
        if name == numbers[-1]:
            name = "target"
        return super(LightGcnConfig, dataclasses.replace(self, behavior=name)).checked(behaviors)


class LightGcn(Pairwise):
    """The model; see the module."""

    about = About("He et al., LightGCN, SIGIR", 2020, TARGET)
    Config = LightGcnConfig
    SPACE = (*Pairwise.SPACE, Range("layers", 1, 4))

    def prepare(self, dataset: Dataset) -> None:
        """Make Ã."""
        interactions = dataset.interactions[self.config.number]
        self.order_nodes([interactions])
        self.reads = (dataset.behaviors[self.config.number],)
        self.graphs = (self.adjacency(interactions, "symmetric"),)

    def sampler(self, dataset: Dataset) -> OnePerUser:
        """For each step some users, with a pair and a negative of each."""
        return OnePerUser(dataset, *self.drawing, behavior=self.config.number)

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """E and Z."""
        (graph,) = self.graphs
        E = self.table(parameters)
        if self.config.mixing == "mean":
            return E, ops.layer_sum(E, adjacency=graph, layers=self.config.layers)
        X = E
        for _ in range(self.config.layers):
            X = ops.spread(X, adjacency=graph)
        return E, X

    @property
    def share(self) -> float:
        """1/(L + 1), which makes a mean of the layers' sum."""
        return 1 / (self.config.layers + 1) if self.config.mixing == "mean" else 1.0

    @classmethod
    def tables(cls, config: LightGcnConfig, n_behaviors: int) -> int:
        """E, three that neighbour sums work in, the sum, and gradients."""
        return 8

    @classmethod
    def bytes(cls, config: LightGcnConfig, shape: Shape) -> int:
        """As of any `Pairwise`, with the graph that it reads."""
        return super().bytes(config, shape._replace(edges=shape.edges[config.number :][:1]))
