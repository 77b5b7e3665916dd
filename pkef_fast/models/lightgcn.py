"""LightGCN: embeddings averaged over a graph, nothing else (He et al., SIGIR 2020).

    X_0 = E,   X_{l+1} = Ã X_l,   Ã = D^-½ A D^-½          their Eq. 3, 7
    Z = 1/(L + 1) · Σ_{l=0..L} X_l                         Eq. 4, 8
    s(u, i) = ⟨z_u, z_i⟩                                   Eq. 9
    L = Σ −ln σ(s(u, i⁺) − s(u, i⁻)) + λ‖E rows‖²          Eq. 12

A is the graph of the target behaviour. Defaults: the comparison in the PKEF paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..config.fields import field
from ..config.space import Range
from ..data.dataset import Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import TARGET, About
from .pairwise import Pairwise, PairwiseConfig
from .triples import OnePerUser


@dataclass(frozen=True)
class LightGcnConfig(PairwiseConfig):
    """LightGCN's depth and how it is trained."""

    layers: int = field(3, "layers L; the comparison chooses 1 to 4 on validation items", low=0)
    epochs: int = field(1000, "most passes, of as many triples as train pairs", group="passes")
    patience: int | None = patience(100)


class LightGcn(Pairwise):
    """The model; see the module."""

    about = About("He et al., LightGCN, SIGIR", 2020, TARGET)
    Config = LightGcnConfig
    SPACE = (*Pairwise.SPACE, Range("layers", 1, 4))

    def prepare(self, dataset: Dataset) -> None:
        """Make Ã."""
        self.order_nodes(dataset.interactions[-1:])
        self.reads = dataset.behaviors[-1:]
        self.graphs = (self.adjacency(dataset.interactions[-1], "symmetric"),)

    def sampler(self, dataset: Dataset) -> OnePerUser:
        """For each step some users, with a pair and a negative of each."""
        config = self.config
        settings = (config.batch, config.seed, self.device.kernels, self.places, self.dtype)
        return OnePerUser(dataset, *settings)

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """E and Z."""
        (graph,) = self.graphs
        E = X = Z = self.table(parameters)
        for _ in range(self.config.layers):
            X = ops.spread(X, adjacency=graph)
            Z = Z + X
        return E, Z * (1 / (self.config.layers + 1))
