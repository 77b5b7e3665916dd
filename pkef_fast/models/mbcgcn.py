"""MB-CGCN: cascading graph convolutions, one behaviour after the other (Cheng et al., WWW 2023).

    X^{1,0} = E,   X^{k,l+1} = Ã_k X^{k,l},   Ã_k = D_k^-½ A_k D_k^-½        (1)
    Z^k = 1/(L_k + 1) · Σ_{l=0..L_k} X^{k,l}                                 (2)
    X^{k+1,0} = [Z^k_users T_u^k ; Z^k_items T_i^k]                          (3)
    Z = Σ_k Z^k,   s(u, i) = ⟨z_u, z_i⟩                                      (4)
    L = mean softplus(−(s⁺ − s⁻)) + reg·(½‖rows of E‖² + ½Σ‖T‖²) / n         (5)

Numbers are this page's. It learns the target's pairs alone. The release starts E from a LightGCN of
three layers on the views, which `train --model lightgcn --set behavior=view` and `--init-from` do
here; without it the transforms keep only a small share of each block's signal, unless they begin as
the identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..config.fields import field, plain
from ..config.space import Choice, Space
from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import ALL, About
from .by_behavior import one_each
from .pairwise import Pairwise, PairwiseConfig
from .triples import OnePerUser

SMALL = 0.01  # standard deviation of `normal`, and of the noise on an identity


@dataclass(frozen=True)
class MbCgcnConfig(PairwiseConfig):
    """MB-CGCN's depths, how it begins and how it is trained."""

    layers: tuple[int, ...] = field(
        (),
        "layers of each behaviour, upstream to target; release 2,4,3; 1 to 4 are searched",
        low=0,
    )
    init: str = field(
        "xavier",
        "embeddings at the start: xavier (paper), or normal of 0.01 (release)",
        choices=("xavier", "normal"),
    )
    transform_init: str = field(
        "xavier",
        "transforms at the start: xavier (paper), normal of 0.01 (release), or identity with "
        "such noise (our choice: a block's signal then passes whole)",
        choices=("xavier", "normal", "identity"),
    )
    epochs: int = field(
        1000, "most passes, of as many triples as train pairs", low=0, group="passes"
    )
    patience: int | None = patience(25)

    def checked(self, behaviors: Sequence[str]) -> MbCgcnConfig:
        """This config with its layers, or an InputError naming the wrong field."""
        config = one_each(self, "layers", behaviors, layers_of(len(behaviors)))
        return super(MbCgcnConfig, config).checked(behaviors)


def layers_of(n_behaviors: int) -> tuple[int, ...]:
    """2, 4, …, 4, 3: the release's 2, 4, 3 for three, our choice after its pattern for others."""
    return ((2,) + (4,) * (n_behaviors - 2) + (3,))[-n_behaviors:]


class MbCgcn(Pairwise):
    """The model; see the module."""

    about = About("Cheng et al., MB-CGCN, WWW", 2023, ALL)
    Config = MbCgcnConfig
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "release": {"init": "normal", "transform_init": "normal"},
    }
    presets = tuple(PRESETS)

    def prepare(self, dataset: Dataset) -> None:
        """Make Ã_k of every behaviour."""
        self.order_nodes(dataset.interactions)
        self.reads = dataset.behaviors
        self.graphs = tuple(self.adjacency(one, "symmetric") for one in dataset.interactions)
        self.matrices = tuple(
            f"transform.{side}.{k}" for k in range(len(self.reads) - 1) for side in ("user", "item")
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """E, and the transforms T between behaviours."""
        d = self.config.d
        return {**super().shapes(), **dict.fromkeys(self.matrices, (d, d))}

    def initial(self) -> dict[str, Array]:
        """As the config says, from its seed."""
        config, values = self.config, super().initial()
        rng = stream(config.seed, "MB-CGCN's start")
        for name, value in values.items():
            how = config.transform_init if name in self.matrices else config.init
            if how != "xavier":
                values[name] = rng.normal(0, SMALL, value.shape)
            if how == "identity":
                values[name] += np.eye(config.d)
        return values

    def sampler(self, dataset: Dataset) -> OnePerUser:
        """For each step some users, with a pair of the target and a negative of each."""
        return OnePerUser(dataset, *self.drawing)

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """E and Z."""
        E = X = self.table(parameters)
        blocks = []
        for k, (graph, layers) in enumerate(zip(self.graphs, self.config.layers, strict=True)):
            total = ops.layer_sum(X, adjacency=graph, layers=layers)  # (1)
            blocks.append(total * (1 / (layers + 1)))  # (2)
            if k + 1 < len(self.graphs):
                users, items = ops.split_rows(blocks[-1], at=self.n_users)
                T_u, T_i = (parameters[f"transform.{side}.{k}"] for side in ("user", "item"))
                X = ops.stack_rows(ops.linear(users, T_u), ops.linear(items, T_i))  # (3)
        return E, sum(blocks[1:], blocks[0])  # (4)

    @classmethod
    def space(cls, behaviors: Sequence[str]) -> Space:
        """What a search may choose from; the comparison searches 1 to 4 layers of each."""
        default = layers_of(len(behaviors))
        depths = [default, *((one,) * len(behaviors) for one in (1, 2, 3, 4))]
        return (
            *cls.SPACE,
            Choice("layers", tuple(plain(one) for one in dict.fromkeys(depths))),
            Choice("transform_init", ("xavier", "identity")),
        )

    @classmethod
    def tables(cls, config: MbCgcnConfig, n_behaviors: int) -> int:
        """Five a behaviour (layers' sum, Z^k, its sides transformed, X, the sum), and gradients."""
        return 5 * n_behaviors + 5
