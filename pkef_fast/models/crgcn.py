"""CRGCN: cascading residual graph convolutions, every behaviour a task (Yan et al., TOIS 2023).

    X^0 = E;  for k = 1…K:  Y = X^{k−1},  L_k times  Y ← D_k^-½ A_k D_k^-½ Y + c_{k,l}      (1)
                            X^k = Y / max(|Y|, 10⁻¹²) + X^{k−1},  row by row               (2)
    s_k(u, i) = ⟨x^k_u, x^k_i⟩; the ranking is s_K                                          (3)
    L = Σ_k mean softplus(−(s_k⁺ − s_k⁻)) + reg·(‖E_users‖ + ‖E_items‖) / (I + 1)           (4)

Numbers are this page's. An epoch visits every user once, with a triple of each behaviour; a user
without the behaviour counts in its mean, with ln 2. The biases c, and negatives outside of all that
a user did, are the release's; preset `paper` has neither. The norms in (4) are not squared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..config.fields import field, plain
from ..config.space import Choice, Range, Space
from ..data.dataset import Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import ALL, About
from .by_behavior import one_each
from .each_user import BehaviorTriples, EachUser
from .pairwise import Pairwise, PairwiseConfig


@dataclass(frozen=True)
class CrgcnConfig(PairwiseConfig):
    """CRGCN's depths and how it is trained."""

    layers: tuple[int, ...] = field(
        (),
        "layers of each behaviour, upstream to target; release 1 each; 1 to 4 are searched",
        low=0,
    )
    bias: bool = field(True, "a bias c after each layer; paper no, release yes")
    negatives: str = field(
        "union",
        "none of the user's items: paper own, of the behaviour; release union, of any behaviour",
        choices=("union", "own"),
    )
    regularization: float = field(
        1e-3, "penalty on the norms of both tables, over the number of items", low=0
    )
    lr: float = field(1e-2, "learning rate at the start", low=0, group="optimizer")
    batch: int = field(1024, "users of a step", low=1, group="passes")
    epochs: int = field(200, "most passes over the users", low=0, group="passes")
    patience: int | None = patience(20)

    def checked(self, behaviors: Sequence[str]) -> CrgcnConfig:
        """This config with its layers, or an InputError naming the wrong field."""
        config = one_each(self, "layers", behaviors, (1,) * len(behaviors))
        return super(CrgcnConfig, config).checked(behaviors)


class Crgcn(Pairwise):
    """The model; see the module."""

    about = About("Yan et al., CRGCN, TOIS", 2023, ALL)
    Config = CrgcnConfig
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "release": {"seed": 2021},
        "paper": {"bias": False, "negatives": "own"},
    }
    presets = tuple(PRESETS)

    def prepare(self, dataset: Dataset) -> None:
        """Make Ã_k of every behaviour."""
        self.order_nodes(dataset.interactions)
        self.reads = dataset.behaviors
        self.graphs = tuple(self.adjacency(one, "symmetric") for one in dataset.interactions)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """E, and the biases c."""
        shapes, config = super().shapes(), self.config
        if config.bias:
            names = (f"bias.{k}.{one}" for k, n in enumerate(config.layers) for one in range(n))
            shapes |= dict.fromkeys(names, (config.d,))
        return shapes

    def sampler(self, dataset: Dataset) -> EachUser:
        """Every user once an epoch, with a triple of each behaviour."""
        config = self.config
        settings = (config.batch, config.seed, self.device.kernels, self.places)
        return EachUser(dataset, *settings, outside=config.negatives)

    def states(self, parameters: Mapping[str, Tensor]) -> list[Tensor]:
        """X^0 = E, X^1, …, X^K (N, d)."""
        found = [self.table(parameters)]
        for k, (graph, layers) in enumerate(zip(self.graphs, self.config.layers, strict=True)):
            Y = found[-1]
            for one in range(layers):
                Y = ops.spread(Y, adjacency=graph)
                if self.config.bias:
                    Y = ops.shift(Y, parameters[f"bias.{k}.{one}"])  # (1)
            found.append(ops.normalise(Y) + found[-1])  # (2)
        return found

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """E and X^K, which ranks."""
        states = self.states(parameters)
        return states[0], states[-1]

    def scores(self, batch: BehaviorTriples) -> list[Tensor]:
        """s_k (2n,) of each behaviour's pairs; 0 of absent ones."""
        _, *rows = ops.gather(*self.states(self.parameters)[1:], nodes=batch.nodes)
        return [
            ops.dot(x, pairs=pairs, score_scale=1.0)
            for x, pairs in zip(rows, batch.pairs, strict=True)
        ]

    def losses(self, batch: BehaviorTriples) -> dict[str, Tensor]:
        """The parts of L."""
        scores = self.scores(batch)
        losses = {f"loss.bpr.{k}": ops.bpr(s, reduction="mean") for k, s in enumerate(scores)}
        sides = [self.parameters[f"{side}_embedding"] for side in ("user", "item")]
        share = self.config.regularization / (self.n_items + 1)
        norms = [ops.norm(one) for one in sides]
        return {**losses, "loss.norms": ops.weigh(*norms, weights=(share, share))}

    @classmethod
    def space(cls, behaviors: Sequence[str]) -> Space:
        """What a search may choose from; the comparison searches 1 to 4 layers of each."""
        depths = tuple(plain((one,) * len(behaviors)) for one in (1, 2, 3, 4))
        return (
            Range("lr", 1e-3, 3e-2, log=True),
            Range("regularization", 1e-5, 1e-1, log=True),
            Choice("layers", depths),
            Choice("d", (32, 64, 128)),
        )

    @classmethod
    def tables(cls, config: CrgcnConfig, n_behaviors: int) -> int:
        """Two a layer, two a behaviour (of length one, and the sum), and gradients."""
        return 2 * sum(config.layers) + 2 * n_behaviors + 6
