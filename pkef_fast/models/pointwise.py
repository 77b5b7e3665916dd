"""Models that learn from labels: a score says how likely a pair is to be one of a behaviour.

L = Σ_k λ_k · mean over pairs of the cross-entropy of the label y_k and σ(s_k), + μ·Σθ²
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..config.fields import field
from ..config.space import Space
from ..data.dataset import Array
from ..errors import InputError
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import TrainConfig
from ..train.protocol import Shape
from .labels import Labelled
from .parametric import Parametric

INDEX = 4  # bytes of an index
GROWTH = 3  # of what a row of a batch is made of: values, their gradients, and sums on the way


@dataclass(frozen=True)
class PointwiseConfig(TrainConfig):
    """What models of labels choose; the defaults are those of the paper's comparison."""

    negatives: int = field(4, "negative pairs for each positive one", low=0, group="passes")
    batch: int = field(2048, "labelled pairs of a step", low=1, group="passes")


class Pointwise(Parametric):
    """Scores come from a network on a user's row and an item's."""

    SPACE: Space

    def scores(self, batch: Labelled) -> list[Tensor]:
        """Logits (n,) of the batch's pairs, by behaviour."""
        raise NotImplementedError

    def weights(self) -> tuple[float, ...]:
        """λ of each behaviour."""
        return (1.0,)

    def losses(self, batch: Labelled) -> dict[str, Tensor]:
        """The cross-entropy of each behaviour."""
        return {
            f"loss.bce.{name}": ops.bce(scores, labels=labels)
            for name, scores, labels in zip(
                self.learned, self.scores(batch), batch.labels, strict=True
            )
        }

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Σ λ_k L_k."""
        return ops.weigh(*losses.values(), weights=self.weights())

    @property
    def learned(self) -> tuple[str, ...]:
        """Behaviours whose labels it learns."""
        return self.behaviors[-1:]

    def rows(self, batch: Labelled, user_table: str, item_table: str) -> tuple[Tensor, Tensor]:
        """Rows of the batch's users and of its items."""
        _, users = ops.gather(self.parameters[user_table], nodes=batch.users)
        _, items = ops.gather(self.parameters[item_table], nodes=batch.items)
        return users, items

    def of_ranking(self, name: str) -> Array:
        """A parameter as it ranks."""
        return self.ranking[name].data

    @classmethod
    def space(cls, behaviors) -> Space:
        """What a search may choose from."""
        return cls.SPACE

    @classmethod
    def widths(cls, config: PointwiseConfig, n_behaviors: int) -> tuple[int, int, int]:
        """Numbers in the rows of the tables of a node, in all matrices, and of a pair's rows."""
        raise NotImplementedError

    @classmethod
    def bytes(cls, config: PointwiseConfig, shape: Shape) -> int:
        """Parameters with gradient, moments and average; an epoch's rows; a step's rows."""
        item, nodes = config.dtype.itemsize, shape.n_users + shape.n_items
        n_learned, pairs = cls.pairs_of(shape.edges)
        row, matrices, wide = cls.widths(config, n_learned)
        parameters = (nodes * row + matrices) * item
        epoch = (1 + config.negatives) * pairs * 2 * INDEX + 3 * pairs * INDEX
        drawing = (1 + config.negatives) * pairs * 8 * INDEX  # counters and words of the order
        step = GROWTH * config.batch * (wide * item + 4 * INDEX)
        held = 5 if config.average else 4
        return held * parameters + epoch + max(drawing, shape.steps_held * step)

    @classmethod
    def pairs_of(cls, edges) -> tuple[int, int]:
        """How many behaviours are learned, and at most how many positive pairs they have."""
        return 1, edges[-1]


def no_layers(name: str) -> InputError:
    """The error for a network without a layer."""
    return InputError(f"config field {name!r} needs an input width and at least one layer's.")
