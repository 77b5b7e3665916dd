"""PKEF: two streams over the behaviours' graphs, projected experts, three kinds of loss."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np

from ...config.space import Choice, Range, Space
from ...data.dataset import Dataset
from ...evaluate.rankers import Ranker
from ...tape import ops
from ...tape.autograd import Tensor, no_grad
from ...train.protocol import ALL, About
from ..parametric import Parametric
from .config import PkefConfig
from .heads import head_of
from .memory import training_bytes
from .pkf import fusion_shapes, stages, streams
from .presets import PRESETS, preset
from .sampling import CompactBatch, Sampler, Term

# A part of the loss: ("cascade" | "parallel" | "unique", its term).
Part = tuple[str, Term]


class Pkef(Parametric):
    """The model: parameters by name, the loss of a batch, and the scorer of all pairs."""

    about = About("Meng et al., PKEF, CIKM", 2023, ALL)
    Config = PkefConfig
    PRESETS, presets = PRESETS, tuple(PRESETS)
    select = "last"
    preset = staticmethod(preset)
    bytes = staticmethod(training_bytes)

    def prepare(self, dataset: Dataset) -> None:
        """The head, and a graph of each behaviour."""
        config = self.config
        self.n_behaviors = len(dataset.behaviors)
        self.head = head_of(config, self.n_behaviors)
        # In whose loss a part is, by its name.
        self._behavior_of = {
            self._name((kind, term)): term.k
            for k in range(self.n_behaviors)
            for kind, term in (
                ("cascade", Term(k)),
                ("parallel", Term(k)),
                *(("unique", Term(k, other)) for other in range(self.n_behaviors)),
            )
        }
        self.order_nodes(dataset.interactions)
        self.reads = dataset.behaviors
        self.graphs = tuple(
            self.adjacency(csr, config.normalization, config.self_loops)
            for csr in dataset.interactions
        )

    @staticmethod
    def space(behaviors: Sequence[str]) -> Space:
        """What a search may choose from: depth, optimiser, scales, negatives and the loss."""
        deeper = len(behaviors) - 1
        first = [(depth, *(1,) * deeper) for depth in (1, 2, 3, 4)]
        layers = tuple(",".join(map(str, depths)) for depths in first)
        return (
            Choice("layers", layers),
            Range("lr", 3e-4, 1e-2, log=True),
            Range("regularization", 1e-5, 1e-1, log=True),
            Range("fusion_scale", 0.03, 1.0, log=True),
            Range("score_scale", 3.0, 1000.0, log=True),
            Choice("loss", ("bpr", "softmax")),
            Range("negatives", 1, 16, log=True),
            Range("popular_negatives", 0.0, 0.5),
            Range("batch_negatives", 0.0, 0.5),
            Choice("behavior_weights", ("fixed", "learned")),
            Choice("average", (0.0, 0.9, 0.98, 0.995)),
            Choice("d", (32, 64, 128)),
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters."""
        return {
            **super().shapes(),
            **self.head.shapes(),
            **fusion_shapes(self.config),
            **({"log_variance": (self.n_behaviors,)} if self._learns_weights else {}),
        }

    @property
    def _learns_weights(self) -> bool:
        return self.config.behavior_weights == "learned"

    def decay(self, name: str) -> float:
        """The penalty μ·Σθ² covers tables and weights, no biases (spec)."""
        covered = name.endswith(("_embedding", ".weight"))
        return self.config.regularization if covered else 0.0

    # ---- training -----------------------------------------------------------------------------

    def sampler(self, dataset: Dataset) -> Sampler:
        """Batches of users, with rows for each term of the loss."""
        return Sampler(dataset, self.config, self.device.kernels, self.places)

    @staticmethod
    def tiny(config: PkefConfig) -> PkefConfig:
        """Small tables and batches."""
        return config.replaced(d=min(config.d, 8), batch_users=12)

    def scores(self, batch: CompactBatch) -> dict[Part, Tensor]:
        """Scores (R,) of every part that the batch has rows for, rows [positives; negatives]."""
        config = self.config
        own = [term for term in batch.pairs if term.other is None]
        pairs = [term for term in batch.pairs if term.other is not None]
        read = frozenset().union(
            *(self.head.reads(term.k) for term in own), *({t.k, t.other} for t in pairs)
        )
        with_parallel = config.fusion != "none"
        parallel = frozenset(term.k for term in own) if with_parallel else frozenset()
        table = self.table(self.parameters)
        P, Z = streams(table, self.graphs, config, self.parameters, parallel, read)
        scores: dict[Part, Tensor] = {}
        if read:  # the heads see the batch's nodes alone
            rows = self.head.rows(Z, batch.nodes, self.parameters)
        if own:
            some = {term.k: batch.pairs[term] for term in own}
            cascade = self.head.scores(rows, self.parameters, some, batch.n_users)
            scores |= {("cascade", Term(k)): found for k, found in cascade.items()}
        if parallel:
            order = sorted(parallel)
            _, *parallel_rows = ops.gather(*(P[k] for k in order), nodes=batch.nodes)
            for term in own:
                scores["parallel", term] = ops.dot(
                    parallel_rows[order.index(term.k)],
                    pairs=batch.pairs[term],
                    score_scale=config.score_scale,
                )
        for term in pairs:
            scores["unique", term] = ops.unique(
                rows[1 + term.other],
                rows[1 + term.k],
                level=config.projection_level,
                pairs=batch.pairs[term],
                projection_scale=config.projection_scale,
                score_scale=config.score_scale,
            )
        return scores

    def part_losses(self, batch: CompactBatch) -> dict[Part, Tensor]:
        """Each part's mean (or sum) over its draws, before λ and the loss scale."""
        config = self.config
        result = {}
        for part, scores in self.scores(batch).items():
            _, term = part
            how = {"reduction": config.loss_reduction, "negatives": config.negatives}
            if config.loss == "softmax":
                groups = batch.groups(term, config.negatives, self.device.xp)
                result[part] = ops.softmax_loss(
                    scores, groups=groups, slots=batch.slots(term), **how
                )
            else:
                result[part] = ops.bpr(scores, slots=batch.slots(term), **how)
        return result

    def losses(self, batch: CompactBatch) -> dict[str, Tensor]:
        """`part_losses` by name: loss.cascade.buy, loss.unique.cart.buy (what cart knows…)."""
        return {self._name(part): loss for part, loss in self.part_losses(batch).items()}

    def _name(self, part: Part) -> str:
        kind, term = part
        behaviors = (term.k,) if term.other is None else (term.other, term.k)
        return ".".join(["loss", kind, *(self.behaviors[k] for k in behaviors)])

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Σ λ_k·c·(parts): the data loss (Eq. 21 without the penalty)."""
        weights = [weight * self.config.loss_scale for weight in self.config.coefficients]
        behaviors = tuple(self._behavior_of[name] for name in losses)
        if self._learns_weights:
            return ops.weigh_learned(
                self.parameters["log_variance"],
                *losses.values(),
                weights=tuple(weights),
                behaviors=behaviors,
            )
        return ops.weigh(*losses.values(), weights=tuple(weights[k] for k in behaviors))

    def one_layer(self, propagate, p, z, p_sum, z_sum) -> None:
        """The first layer of the first behaviour on these tables (N, d), to be timed."""
        config = self.config
        propagate.layer(
            self.graphs[0],
            None if config.fusion == "none" else p,
            z,
            p_sum,
            z_sum,
            config.fusion,
            config.fusion_source,
            config.fusion_scale,
            *(one.data for name, one in self.parameters.items() if "fusion.0.0" in name),
        )

    # ---- use ----------------------------------------------------------------------------------

    def cascade_tables(self, behaviors: Iterable[int]) -> dict[int, np.ndarray]:
        """Z^k (N, d) of these behaviours, nothing recorded."""
        with no_grad():
            _, Z = streams(
                self.table(self.ranking),
                self.graphs,
                self.config,
                self.ranking,
                frozenset(),
                frozenset(behaviors),
            )
        tables = self.in_own_order([tensor.data for tensor in Z.values()])
        return dict(zip(Z, tables, strict=True))

    def cascade(self, heard: Container[int] | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
        """z^{k,0} and Z^k (N, d) of every behaviour, nothing recorded.

        `heard`: behaviours whose graphs pass messages; None: all.
        """
        with no_grad():
            table, how = self.table(self.ranking), (self.config, self.ranking)
            found = stages(table, self.graphs, *how, heard=heard)
            return [tuple(self.in_own_order([start.data, Z.data])) for _, start, Z in found]

    def scorer(self, k: int | None = None):
        """The `kernels.rank` scorer of behaviour k (default: the target) with today's tables."""
        k = self.n_behaviors - 1 if k is None else k
        tables = self.cascade_tables(self.head.reads(k))
        return self.head.scorer(tables, self.ranking, k, self.n_users)

    def experts(self) -> tuple[str, ...]:
        """What the target's gate weighs, by slot, as in `scorer`; () where there is no gate."""
        return self.head.experts(self.n_behaviors - 1, self.behaviors)

    def ranker(self) -> Ranker:
        """Ranks by the target's scores, with today's tables."""
        k = self.n_behaviors - 1
        tables = self.cascade_tables(self.head.reads(k))
        return self.head.ranker(tables, self.ranking, k, self.n_users, self.device)
