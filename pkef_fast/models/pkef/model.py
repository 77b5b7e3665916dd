"""PKEF: two streams over the behaviours' graphs, projected experts, three kinds of loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...config.space import Choice, Range, Space
from ...data.dataset import Csr, Dataset
from ...device import Device
from ...evaluate.rankers import TableRanker
from ...graph import adjacency as graph
from ...graph.node_order import node_order
from ...tape import ops
from ...tape.autograd import Tensor, no_grad
from .config import PkefConfig
from .heads import HEADS
from .pkf import fusion_shapes, streams
from .presets import PRESETS, preset
from .sampling import CompactBatch, Term

# A part of the loss: ("cascade" | "parallel" | "unique", its term).
Part = tuple[str, Term]


def glorot(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Uniform in ±√(6 / (rows + columns)); embedding tables too, each side by itself (release)."""
    limit = np.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)


class Pkef:
    """The model: parameters by name, the loss of a batch, and the scorer of all pairs.

    Parameters
    ----------
    config : PkefConfig
        Checked for the data set's behaviours (`PkefConfig.checked`).
    dataset : Dataset
    device : Device
    parameters : mapping of name → array, optional
        Values to start from; drawn from the config's seed where not given.
    """

    Config = PkefConfig
    presets = tuple(PRESETS)
    trained = True  # by steps
    preset = staticmethod(preset)

    def __init__(
        self,
        config: PkefConfig,
        dataset: Dataset,
        device: Device,
        parameters: Mapping[str, np.ndarray] | None = None,
    ):
        self.config, self.device = config, device
        self.n_users, self.n_items = dataset.n_users, dataset.n_items
        self.n_behaviors = len(dataset.behaviors)
        self.dtype = config.dtype.type
        self.head = HEADS[config.head](config, self.n_behaviors)
        self.order = None  # of the nodes in the tables that are propagated
        if device.cares_for_order:
            row_bytes = config.d * config.dtype.itemsize
            self.order = node_order(dataset.interactions, self.n_items, row_bytes, device.kernels)
        self.graphs = tuple(self._graph(csr) for csr in dataset.interactions)
        values = self.initial() if parameters is None else parameters
        self.parameters = {
            name: Tensor(
                device.place(np.array(values[name], self.dtype, order="C")),
                device,
                requires_grad=True,
            )
            for name in self.shapes()
        }
        # What ranks: a running average where the config asks for one, kept by the trainer.
        self.ranking = self.parameters
        if config.average:
            self.ranking = {
                name: Tensor(one.data.copy(), device) for name, one in self.parameters.items()
            }

    def _graph(self, interactions: Csr):
        """A behaviour's adjacency in the model's node order."""
        config = self.config
        if self.order is not None:
            interactions = graph.reordered(interactions, self.n_items, self.order.nodes)
        settings = (config.normalization, config.self_loops, self.dtype, config.gather)
        return self.device.place(graph.adjacency(interactions, self.n_items, *settings))

    def _table(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """E (N, d): what both streams start from."""
        users, items = parameters["user_embedding"], parameters["item_embedding"]
        return ops.stack_rows(users, items, order=self.order)

    @staticmethod
    def default_preset(dataset_name: str) -> str:
        """The preset for a data set."""
        return "official"

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

    def stored(self) -> dict[str, np.ndarray]:
        """What makes it rank again, together with config and data: its parameters."""
        return {name: self.device.to_host(one.data) for name, one in self.ranking.items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters."""
        return {
            "user_embedding": (self.n_users, self.config.d),
            "item_embedding": (self.n_items, self.config.d),
            **self.head.shapes(),
            **fusion_shapes(self.config),
            **({"log_variance": (self.n_behaviors,)} if self._learns_weights else {}),
        }

    @property
    def _learns_weights(self) -> bool:
        return self.config.behavior_weights == "learned"

    def initial(self) -> dict[str, np.ndarray]:
        """Glorot-uniform tables and weights, all else zero, from the config's seed."""
        rng = np.random.Generator(np.random.Philox(self.config.seed))
        return {
            name: np.zeros(shape) if len(shape) == 1 else glorot(rng, shape)
            for name, shape in self.shapes().items()
        }

    def penalised(self, name: str) -> bool:
        """Whether the penalty μ·Σθ² covers a parameter: tables and weights, no biases (spec)."""
        return name.endswith(("_embedding", ".weight"))

    # ---- training -----------------------------------------------------------------------------

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
        table = self._table(self.parameters)
        P, Z = streams(table, self.graphs, config, self.parameters, parallel, read)
        scores: dict[Part, Tensor] = {}
        if read:
            # The heads see the batch's nodes alone; a table that nobody reads is not gathered, and
            # stands in the stack as another one so that behaviours keep their places.
            stand_in = Z[min(read)]
            experts = ops.gather(
                *(Z.get(j, stand_in) for j in range(self.n_behaviors)), nodes=batch.nodes
            )
        for term in own:
            scores["cascade", term] = self.head.scores(
                experts, self.parameters, term.k, batch.n_users, batch.pairs[term]
            )
        if parallel:
            order = sorted(parallel)
            _, *rows = ops.gather(*(P[k] for k in order), nodes=batch.nodes)
            for term in own:
                scores["parallel", term] = ops.dot(
                    rows[order.index(term.k)],
                    pairs=batch.pairs[term],
                    factor=config.score_scale,
                )
        for term in pairs:
            scores["unique", term] = ops.unique(
                experts[1 + term.other],
                experts[1 + term.k],
                level=config.projection_level,
                pairs=batch.pairs[term],
                t=config.projection_scale,
                factor=config.score_scale,
            )
        return scores

    def losses(self, batch: CompactBatch) -> dict[Part, Tensor]:
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

    def total(self, losses: Mapping[Part, Tensor]) -> Tensor:
        """Σ λ_k·c·(parts): the data loss (Eq. 21 without the penalty)."""
        weights = [weight * self.config.loss_scale for weight in self.config.coefficients]
        behaviors = tuple(term.k for _, term in losses)
        if self._learns_weights:
            return ops.weigh_learned(
                self.parameters["log_variance"],
                *losses.values(),
                weights=tuple(weights),
                behaviors=behaviors,
            )
        return ops.weigh(*losses.values(), weights=tuple(weights[k] for k in behaviors))

    # ---- use ----------------------------------------------------------------------------------

    def cascade_tables(self, behaviors: Iterable[int]) -> dict[int, np.ndarray]:
        """Z^k (N, d) of these behaviours, nothing recorded."""
        with no_grad():
            _, Z = streams(
                self._table(self.ranking),
                self.graphs,
                self.config,
                self.ranking,
                frozenset(),
                frozenset(behaviors),
            )
        if self.order is None:
            return {k: tensor.data for k, tensor in Z.items()}
        tables = self.device.kernels.pairs.gather(
            [tensor.data for tensor in Z.values()], self.order.places
        )
        return dict(zip(Z, tables, strict=True))

    def scorer(self, k: int | None = None):
        """The `kernels.rank` scorer of behaviour k (default: the target) with today's tables."""
        k = self.n_behaviors - 1 if k is None else k
        tables = self.cascade_tables(self.head.reads(k))
        return self.head.scorer(tables, self.ranking, k, self.n_users)

    def ranker(self) -> TableRanker:
        """Ranks by the target's scores, with today's tables."""
        return TableRanker(self.scorer(), self.device)
