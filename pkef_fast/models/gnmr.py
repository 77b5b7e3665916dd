"""GNMR: attention over a node's behaviours, layer by layer (Xia et al., ICDE 2021; release).

A layer makes the users' rows from the items' and the other way round, each side by parameters of
its own. With B_k the matrix of behaviour k as that side sees it:

    a_k = B_k X                                               messages, sums of neighbours
    c_k = ReLU(a_k P_k + p_k),  t_k = Σ_m c_km·(a_k R_m)      memory of M slots, R shared over k
    q, k, v = t Q, t K, t V
    o_k = Σ_j softmax_j(⟨q_k, k_j⟩ / h)·v_j                   H heads of h = d/H columns
    g_k = ReLU(o_k G_1 + b_1) G_2 + b_2
    X_{l+1} = Σ_k softmax_k(g_k)·o_k

    f = ReLU([E' | X̂_1 | … | X̂_L] F + f_0)                    X̂ = X / (ε + √(ε + ‖X‖²)), row by row
    x = 100·f_u ∘ f_i,  s(u, i) = ⟨ReLU(x W_1 + w_1) + x, w_2⟩ + b
    L = Σ max(0, 1 − (s(u, i⁺) − s(u, i⁻))) / users + λ‖Θ‖²

E' are tables of their own for the prediction (`user_prediction`, `item_prediction`), which stand
for layer 0 and are, like biases, not penalised. They, the factor 100 and F for both sides are the
release's alone. A step needs X_L of its batch's nodes only, and makes no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..config.fields import field, wrong
from ..config.space import Choice, Range, Space
from ..data.dataset import Array, Dataset
from ..evaluate.rankers import RowsRanker
from ..tape import ops
from ..tape.autograd import Tensor, no_grad
from ..train.config import TrainConfig, patience
from ..train.protocol import ALL, About, Shape
from .parametric import Parametric
from .triples import SomePerUser, UserTriples

SIDES = ("user", "item")
SUMS = {"raw": "none", "row": "left"}  # as `graph.adjacency` calls them
EPSILON = 1e-6
INDEX = 4  # bytes of an index
BLOCK = 64  # users whose scores are made at a time


@dataclass(frozen=True)
class GnmrConfig(TrainConfig):
    """GNMR's sizes and how it is trained; the defaults are those of the PKEF paper's comparison."""

    d: int = field(64, "size of an embedding; release 16", low=1)
    layers: int = field(2, "layers L; release 2", low=1)
    memory: int = field(8, "memory slots M; release 8", low=1)
    heads: int = field(2, "attention heads H, which divide d; release 2", low=1)
    normalization: str = field(
        "raw",
        "of the neighbours' sums: raw, the sum itself (release); row, their mean",
        choices=tuple(SUMS),
    )
    loss: str = field(
        "hinge",
        "hinge, its sum divided by the batch's users (release); bpr, a mean",
        choices=("hinge", "bpr"),
    )
    score_scale: float = field(100.0, "factor of products of a pair; release 100", low=0)
    regularization: float = field(
        0.01,
        "penalty λ on the squares of embeddings and matrices; release tunes 0.001 to 0.5",
        low=0,
    )
    epochs: int = field(120, "most passes; release 120", low=0, group="passes")
    users_per_epoch: int = field(
        10000, "users drawn for an epoch; all, if fewer", low=1, group="passes"
    )
    batch: int = field(256, "users of a step; release 32", low=1, group="passes")
    samples_per_user: int = field(
        40, "positives of a user and step, with replacement", low=1, group="passes"
    )
    patience: int | None = patience(20)

    def checked(self, behaviors: Sequence[str]) -> GnmrConfig:
        """This config, or an InputError naming the wrong field."""
        if self.heads < 1 or self.d % self.heads:
            raise wrong("heads", self.heads, f"a divisor of d = {self.d}")
        return super().checked(behaviors)


class Gnmr(Parametric):
    """The model; see the module."""

    about = About("Xia et al., GNMR, ICDE", 2021, ALL)
    Config = GnmrConfig
    # lr_decay_steps: an epoch of 10,000 users in batches of 32
    PRESETS: ClassVar[Mapping[str, dict]] = {
        "comparison": {},
        "release": {
            "d": 16,
            "lr": 2e-4,
            "lr_decay": 0.99,
            "lr_decay_steps": 313,
            "batch": 32,
        },
    }
    presets = tuple(PRESETS)

    def prepare(self, dataset: Dataset) -> None:
        """A graph of each behaviour: its upper rows are M_k, its lower ones M_kᵀ."""
        self.n_behaviors = len(dataset.behaviors)
        self.order_nodes(dataset.interactions)
        self.reads = dataset.behaviors
        self.graphs = tuple(
            self.adjacency(one, SUMS[self.config.normalization]) for one in dataset.interactions
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters."""
        d, M, shapes = self.config.d, self.config.memory, super().shapes()
        shapes |= {f"{side}_prediction": shapes[f"{side}_embedding"] for side in SIDES}
        for layer in range(self.config.layers):
            for side in SIDES:
                here, half = f"{side}.{layer}", max(d // 2, 1)
                for k in range(self.n_behaviors):
                    shapes |= _affine(f"{here}.slot.{k}", d, M)
                shapes[f"{here}.memory"] = (M, d, d)
                shapes |= {f"{here}.{name}": (d, d) for name in ("query", "key", "value")}
                shapes |= _affine(f"{here}.gate.0", d, half) | _affine(f"{here}.gate.1", half, 1)
        shapes |= _affine("fuse", (self.config.layers + 1) * d, d)
        return shapes | _affine("predict.0", d, d) | _affine("predict.1", d, 1)

    def initial(self) -> dict[str, Array]:
        """Glorot-uniform; a memory is one M × d² matrix there, as in the release."""
        values, d, M = super().initial(), self.config.d, self.config.memory
        share = ((M + 2 * d) / (M + d * d)) ** 0.5  # of the limit of an M × d × d array
        return {
            name: value * share if name.endswith(".memory") else value
            for name, value in values.items()
        }

    def decay(self, name: str) -> float:
        """λ‖Θ‖² without biases and the tables of the prediction."""
        free = name.endswith((".bias", "_prediction"))
        return 0.0 if free else self.config.regularization

    def sampler(self, dataset: Dataset) -> SomePerUser:
        """Batches of users with pairs of the target behaviour."""
        c = self.config
        sizes = (c.batch, c.users_per_epoch, c.samples_per_user)
        return SomePerUser(dataset, *sizes, c.seed, self.device.kernels, self.places, self.dtype)

    # ---- the forward pass ---------------------------------------------------------------------

    def transform(
        self, parameters: Mapping[str, Tensor], side: str, layer: int, a: Tensor
    ) -> Tensor:
        """Rows of X_{l+1} of one side, from the messages a (K·n, d), behaviour by behaviour."""
        own = {
            name.removeprefix(f"{side}.{layer}."): one
            for name, one in parameters.items()
            if name.startswith(f"{side}.{layer}.")
        }
        slots = (
            own[f"slot.{k}.{part}"] for k in range(self.n_behaviors) for part in ("weight", "bias")
        )
        t = ops.memory(a, ops.slots(a, *slots), own["memory"])
        qkv = ops.linear(t, ops.concatenate(own["query"], own["key"], own["value"]))
        o = ops.attend(qkv, behaviors=self.n_behaviors, heads=self.config.heads)
        g = ops.relu(ops.affine(o, own["gate.0.weight"], own["gate.0.bias"]))
        g = ops.affine(g, own["gate.1.weight"], own["gate.1.bias"])
        return ops.pool(g, o, behaviors=self.n_behaviors)

    def representations(
        self, parameters: Mapping[str, Tensor], nodes: Array | None = None, users: int = 0
    ) -> Tensor:
        """f of all nodes, or of `nodes`, of which the first `users` are users."""
        users = self.n_users if nodes is None else users
        X, last = self.table(parameters), self.config.layers - 1
        sides = (parameters[f"{side}_prediction"] for side in SIDES)
        parts = [ops.stack_rows(*sides, order=self.order)]  # E'
        for layer in range(self.config.layers):
            a = [ops.spread(X, adjacency=graph) for graph in self.graphs]
            if layer == last:
                halves = ops.sides(*a, n_users=users, nodes=nodes)
            else:
                halves = ops.sides(*a, n_users=self.n_users)
            rows = (
                self.transform(parameters, side, layer, half)
                for side, half in zip(SIDES, halves, strict=True)
            )
            X = ops.stack_rows(*rows)
            parts.append(X)
        if nodes is not None:
            parts[:-1] = ops.gather(*parts[:-1], nodes=nodes)[1:]
        lengths_one = (ops.normalise(X, form="smooth", epsilon=EPSILON) for X in parts[1:])
        joined = ops.concatenate(parts[0], *lengths_one)
        return ops.relu(ops.affine(joined, parameters["fuse.weight"], parameters["fuse.bias"]))

    def scores(self, batch: UserTriples) -> Tensor:
        """Scores (2n,) of the batch's pairs."""
        one, (triples, users) = self.parameters, batch
        f = self.representations(one, triples.nodes, users)
        x = ops.pair_product(f, pairs=triples.pairs) * self.config.score_scale
        x = ops.relu(ops.affine(x, one["predict.0.weight"], one["predict.0.bias"])) + x
        return ops.column(ops.affine(x, one["predict.1.weight"], one["predict.1.bias"]))

    def losses(self, batch: UserTriples) -> dict[str, Tensor]:
        """The loss of the batch's pairs; Adam knows the penalty."""
        if not batch.triples.count:
            return {}
        scores = self.scores(batch)
        if self.config.loss == "bpr":
            return {"loss.bpr": ops.bpr(scores, reduction="mean")}
        return {"loss.hinge": ops.hinge(scores, count=batch.users)}

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """L without the penalty."""
        (loss,) = losses.values()
        return loss

    # ---- use ----------------------------------------------------------------------------------

    def ranker(self) -> RowsRanker:
        """Ranks with today's parameters; scores are made for a block of users at a time."""
        with no_grad():
            f = self.representations(self.ranking)
        (f,) = self.in_own_order([f.data])
        users, items = f[: self.n_users], f[self.n_users :]
        names = [f"predict.{n}.{part}" for n in (0, 1) for part in ("weight", "bias")]
        network = [self.ranking[name].data for name in names]
        predict, scale = self.device.kernels.attention.predict, self.dtype(self.config.score_scale)

        def block(some: Array) -> Array:
            left = users[self.device.place(some)] * scale
            return self.device.xp.transpose(predict(left, items, *network))

        return RowsRanker(block, self.device, self.n_items, BLOCK, self.dtype)

    @staticmethod
    def space(behaviors: Sequence[str]) -> Space:
        """What a search may choose from."""
        return (
            Range("lr", 1e-4, 3e-3, log=True),
            Range("regularization", 1e-3, 0.5, log=True),
            Choice("normalization", tuple(SUMS)),
            Choice("loss", ("hinge", "bpr")),
            Range("layers", 1, 3),
            Choice("memory", (4, 8, 16)),
            Choice("heads", (1, 2, 4)),
            Range("score_scale", 1.0, 100.0, log=True),
            Choice("d", (16, 32, 64)),
        )

    @staticmethod
    def tiny(config: GnmrConfig) -> GnmrConfig:
        """Small tables and batches."""
        return config.replaced(d=4 * config.heads, batch=6, samples_per_user=3)

    @staticmethod
    def bytes(config: GnmrConfig, shape: Shape) -> int:
        """Parameters with gradient, moments and average; patterns; what a step keeps and makes."""
        n_users, n_items, edges, steps_held = shape
        item, nodes, behaviors = config.dtype.itemsize, n_users + n_items, len(edges)
        d, slots, layers = config.d, config.memory, config.layers
        matrices = 2 * layers * d * (behaviors * slots + (slots + 4) * d) + (layers + 2) * d * d
        parameters = (5 if config.average else 4) * (2 * nodes * d + matrices) * item
        patterns = sum(4 * count * INDEX + nodes * (2 * item + 2 * INDEX) for count in edges)
        pairs = 2 * min(config.batch, n_users) * config.samples_per_user
        rows = min(nodes, config.batch + pairs)  # of the last layer
        # A node keeps, by behaviour, a, p, t, q, k, v, o and the gate's half; the adjoint makes as
        # much for one layer, beside the messages and their gradients.
        each = behaviors * (6 * d + d // 2 + slots)
        kept = ((layers - 1) * nodes + rows) * each + layers * nodes * d
        working = (nodes if layers > 1 else rows) * each + 2 * behaviors * nodes * d
        prediction = rows * 3 * (layers + 1) * d + pairs * 6 * d
        step = (kept + working + prediction) * item + 8 * pairs * INDEX
        return parameters + patterns + steps_held * step


def _affine(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (columns,)}
