"""Models that learn from triples: a positive item shall score higher than a negative one (BPR).

L = mean softplus(−(s⁺ − s⁻)) + reg·½‖rows‖² / n     over n triples; rows: the embeddings of their
                                                    users, positives and negatives
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..config.fields import field
from ..config.space import Choice, Range, Space
from ..evaluate.rankers import TableRanker
from ..kernels.rank import DotScorer
from ..tape import ops
from ..tape.autograd import Tensor, no_grad
from ..train.config import TrainConfig
from ..train.protocol import ALL, Shape
from .parametric import Parametric
from .triples import Triples

INDEX = 4  # bytes of an index


@dataclass(frozen=True)
class PairwiseConfig(TrainConfig):
    """What models of triples choose; the defaults are those of the paper's comparison."""

    d: int = field(64, "size of an embedding", low=1)
    regularization: float = field(
        1e-4, "penalty reg·½ on the squares of a batch's embedding rows, a triple", low=0
    )
    batch: int = field(2048, "triples of a step", low=1, group="passes")


class Pairwise(Parametric):
    """Scores are inner products of the rows of a table Z that `representations` makes of E."""

    SPACE: Space = (
        Range("lr", 3e-4, 1e-2, log=True),
        Range("regularization", 1e-6, 1e-2, log=True),
        Choice("d", (32, 64, 128)),
    )
    TABLES = 6  # see `tables`
    matrices: tuple[str, ...] = ()  # parameters that are penalised whole, as a batch's rows are
    share = 1.0  # what `representations` leaves to be multiplied: with a batch's scores, not tables

    @property
    def drawing(self) -> tuple:
        """What samplers of triples take beside the data set."""
        config = self.config
        return config.batch, config.seed, self.device.kernels, self.places, self.dtype

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """E (N, d), whose rows are penalised, and Z / share (N, d), whose rows score."""
        raise NotImplementedError

    def scores(self, batch: Triples) -> tuple[Tensor, Tensor]:
        """Scores (2n,) of the batch's pairs, s = ⟨z_u, z_i⟩; and the rows of E (B, d)."""
        E, Z = self.representations(self.parameters)
        _, e, z = ops.gather(E, Z, nodes=batch.nodes)
        return ops.dot(z, pairs=batch.pairs, score_scale=self.share**2), e

    def losses(self, batch: Triples) -> dict[str, Tensor]:
        """The two parts of L, and where matrices are penalised too the third."""
        scores, rows = self.scores(batch)
        penalty = ops.penalty(rows, weights=batch.appearances)
        share = self.config.regularization / max(batch.count, 1)
        losses = {
            "loss.bpr": ops.bpr(scores, reduction="mean"),
            "loss.rows": ops.weigh(penalty, weights=(share,)),
        }
        if self.matrices:
            squares = [ops.half_squares(self.parameters[name]) for name in self.matrices]
            losses["loss.matrices"] = ops.weigh(*squares, weights=(share,) * len(squares))
        return losses

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """L."""
        return ops.weigh(*losses.values(), weights=(1.0,) * len(losses))

    def ranker(self) -> TableRanker:
        """Ranks by ⟨z_u, z_i⟩ with today's tables."""
        with no_grad():
            _, Z = self.representations(self.ranking)
        (z,) = self.in_own_order([(self.share * Z).data])
        return TableRanker(DotScorer(z[: self.n_users], z[self.n_users :]), self.device)

    @classmethod
    def space(cls, behaviors) -> Space:
        """What a search may choose from."""
        return cls.SPACE

    @staticmethod
    def tiny(config: PairwiseConfig) -> PairwiseConfig:
        """Small tables and batches."""
        return config.replaced(d=min(config.d, 8), batch=12)

    @classmethod
    def tables(cls, config: PairwiseConfig, n_behaviors: int) -> int:
        """Tables (N, d) that a step works in, beside the parameters."""
        return cls.TABLES

    @classmethod
    def bytes(cls, config: PairwiseConfig, shape: Shape) -> int:
        """Tables with gradient, moments and average; patterns that it reads; a step's tables."""
        item, nodes = config.dtype.itemsize, shape.n_users + shape.n_items
        read = shape.edges if cls.about.reads == ALL else shape.edges[-1:]
        table = nodes * config.d * item
        patterns = sum(4 * edges * INDEX + nodes * (2 * item + 2 * INDEX) for edges in read)
        rows = 2 * config.batch * (3 * config.d * item + 8 * INDEX)
        step = cls.tables(config, len(shape.edges)) * table + rows
        return (5 if config.average else 4) * table + patterns + shape.steps_held * step
