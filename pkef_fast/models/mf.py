"""MF-BPR: matrix factorisation for a ranking (Rendle et al., UAI 2009, arXiv 1205.2618).

    s(u, i) = ⟨e_u, e_i⟩                                   their Sec. 5.2, without biases
    L = Σ −ln σ(s(u, i⁺) − s(u, i⁻)) + λ‖Θ‖²               Sec. 4.1, over triples of train pairs

It reads the target behaviour alone. Defaults: the comparison in the PKEF paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..config.fields import field
from ..data.dataset import Dataset
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import patience
from ..train.protocol import TARGET, About
from .pairwise import Pairwise, PairwiseConfig
from .triples import TripleList, Triples


@dataclass(frozen=True)
class MfConfig(PairwiseConfig):
    """How MF-BPR is trained."""

    epochs: int = field(400, "most passes over the train pairs", low=0, group="passes")
    patience: int | None = patience(50)


class MfBpr(Pairwise):
    """The model; see the module."""

    about = About("Rendle et al., BPR, UAI", 2009, TARGET)
    Config = MfConfig
    TABLES = 3

    def sampler(self, dataset: Dataset) -> TripleList:
        """Every train pair once an epoch, with one negative."""
        return TripleList(dataset, *self.drawing)

    def scores(self, batch: Triples) -> tuple[Tensor, Tensor]:
        """As of any `Pairwise`; a batch's rows are all that is read of the tables."""
        users, items = (self.parameters[f"{side}_embedding"] for side in ("user", "item"))
        rows = ops.rows_of(users, items, nodes=batch.nodes)
        return ops.dot(rows, pairs=batch.pairs, score_scale=1.0), rows

    def representations(self, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The embeddings themselves."""
        E = self.table(parameters)
        return E, E
