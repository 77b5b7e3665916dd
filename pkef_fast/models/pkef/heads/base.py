"""What a head has, whatever it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....data.dataset import Array
from ....device import Device
from ....evaluate.rankers import Ranker, TableRanker
from ....kernels.pairs import Pairs
from ....kernels.rank import Scorer
from ....tape import ops
from ....tape.autograd import Tensor
from ..config import PkefConfig

Tables = Mapping[int, Tensor]  # Z^k (N, d) by behaviour
Parameters = Mapping[str, Tensor]


class Head:
    """Cascade scores of pairs from the tables Z^k.

    Subclasses say `shapes`, `scores` and `scorer`, those that read other behaviours `reads`.
    """

    def __init__(self, config: PkefConfig, n_behaviors: int):
        self.config, self.n_behaviors = config, n_behaviors

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the head's parameters."""
        raise NotImplementedError

    def reads(self, k: int) -> frozenset[int]:
        """Behaviours whose tables the cascade score of k reads."""
        return frozenset((k,))

    def experts(self, k: int, behaviors: Sequence[str]) -> tuple[str, ...]:
        """What the gate of behaviour k weighs, by slot; () where there is no gate."""
        return ()

    def rows(self, Z: Tables, nodes: Array, parameters: Parameters) -> tuple[Tensor, ...]:
        """What `scores` needs of the batch's B nodes: (K, B, d) of all behaviours, (B, d) of each.

        A table that nobody reads is not gathered; another one stands in, so that behaviours keep
        their places.
        """
        stand_in = Z[min(Z)]
        return ops.gather(*(Z.get(j, stand_in) for j in range(self.n_behaviors)), nodes=nodes)

    def scores(
        self,
        rows: tuple[Tensor, ...],
        parameters: Parameters,
        pairs: Mapping[int, Pairs],
        n_users: int,
    ) -> dict[int, Tensor]:
        """Scores (R,) of each behaviour's pairs; n_users of the batch's nodes are users."""
        raise NotImplementedError

    def scorer(
        self, tables: Mapping[int, Array], parameters: Parameters, k: int, n_users: int
    ) -> Scorer:
        """What `kernels.rank` needs to score all pairs of behaviour k; tables: arrays Z^j."""
        raise NotImplementedError

    def ranker(
        self,
        tables: Mapping[int, Array],
        parameters: Parameters,
        k: int,
        n_users: int,
        device: Device,
    ) -> Ranker:
        """The ranking of all items by behaviour k's scores."""
        return TableRanker(self.scorer(tables, parameters, k, n_users), device)
