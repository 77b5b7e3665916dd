"""PKEF's training step (preset official) in plain PyTorch, for comparison.

Written from the equations as one would who has PyTorch and nothing else: sparse products by
`torch.sparse`, gradients by autograd, `torch.optim.Adam`, batches drawn by NumPy. It does no more
than the losses ask for, and runs at PyTorch's best settings where these are a switch: see
`SPARSE` and `fused`. tests/test_peers.py holds it to the fixtures' losses, gradients and updates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from pkef_fast.data.dataset import Dataset
from pkef_fast.graph.adjacency import adjacency
from pkef_fast.kernels.propagate import EPSILON, Adjacency
from pkef_fast.models.pkef.config import PkefConfig
from pkef_fast.train.config import TrainConfig

from .torch_product import matrix_of

# How a product is differentiated. "coo" and "csr": by autograd alone, which transposes a CSR matrix
# anew in every step. "both": Âᵀ is kept beside Â, the fastest of the three and the default.
SPARSE = ("both", "coo", "csr")

# A part of the loss: (k, None) behaviour k's own, (k, j) what j and k differ in, in the loss of k.
Term = tuple[int, int | None]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, positives, negatives


def covers(config: TrainConfig) -> bool:
    """Whether this is a model that is written here: the official preset, of any size."""
    return (
        isinstance(config, PkefConfig)
        and config.fusion == "projection"
        and config.fusion_source == "state"
        and config.head == "pme"
        and config.projection_level == "side"
        and config.gate == "shared"
        and config.unique_positives == "target_only"
        and config.loss_reduction == "mean"
        and config.adam_form == "tensorflow"
        and not config.self_loops
    )


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, matrix, transposed, x):
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx, gradient):
        return None, None, ctx.transposed @ gradient


class Spread:
    """x → Â x, differentiable."""

    def __init__(self, graph: Adjacency, sparse: str):
        self.matrix, self.transposed = matrix_of(graph), None
        if sparse == "both":
            self.transposed = matrix_of(graph.transposed)
        elif sparse == "coo":
            self.matrix = self.matrix.to_sparse_coo().coalesce()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.transposed is None:
            return torch.sparse.mm(self.matrix, x)
        return _Product.apply(self.matrix, self.transposed, x)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(dim=1, keepdim=True)


def project(a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """⟨a,c⟩ / (⟨c,c⟩ + ε) · c, row by row."""
    return _dot(a, c) / (_dot(c, c) + EPSILON) * c


class TorchPkef(torch.nn.Module):
    """The model: two streams, projected experts under a shared gate, three kinds of loss."""

    def __init__(
        self,
        config: PkefConfig,
        graphs: Sequence[Adjacency],
        n_users: int,
        parameters: Mapping[str, np.ndarray],
        sparse: str = SPARSE[0],
    ):
        super().__init__()
        self.config, self.n_users = config, n_users
        self.spreads = [Spread(graph, sparse) for graph in graphs]
        self.weights = torch.nn.ParameterDict(
            {
                name.replace(".", "_"): torch.nn.Parameter(torch.from_numpy(np.array(value)))
                for name, value in parameters.items()
            }
        )

    def streams(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """P^k and Z^k of every behaviour."""
        E = torch.cat([self.weights["user_embedding"], self.weights["item_embedding"]])
        start, P, Z = E, [], []
        for spread, depth in zip(self.spreads, self.config.layers, strict=True):
            p, z = E, start
            P_k, Z_k = p, z
            for _ in range(depth):
                c = spread(z)
                p = spread(p) + p
                z = c + z + self.config.fusion_scale * project(p, c)
                P_k, Z_k = P_k + p, Z_k + z
            start = z + start
            P.append(P_k)
            Z.append(Z_k)
        return P, Z

    def own_scores(self, k, P, Z, users, items) -> tuple[torch.Tensor, torch.Tensor]:
        """Gated and parallel scores of behaviour k's pairs."""
        config = self.config
        u, v = Z[k][users], Z[k][items]
        gate = torch.cat([u, v], dim=1) @ self.weights["gate_weight"] + self.weights["gate_bias"]
        experts = [(u * v).sum(dim=1)]
        for j, table in enumerate(Z):
            if j != k:
                t = config.projection_scale
                shared_u, shared_v = project(table[users], u) * t, project(table[items], v) * t
                experts.append((shared_u * shared_v).sum(dim=1))
        mixed = (gate.softmax(dim=1) * torch.stack(experts, dim=1)).sum(dim=1)
        parallel = (P[k][users] * P[k][items]).sum(dim=1)
        return config.score_scale * mixed, config.score_scale * parallel

    def unique_scores(self, j, k, Z, users, items) -> torch.Tensor:
        """Scores of what of behaviour j is not in k."""
        t, sides = self.config.projection_scale, []
        for nodes in (users, items):
            of_j, of_k = Z[j][nodes], Z[k][nodes]
            sides.append(t * (of_j - project(of_j, of_k)))
        return self.config.score_scale * (sides[0] * sides[1]).sum(dim=1)

    def losses(self, batch: Mapping[Term, Rows]) -> dict[tuple[str, Term], torch.Tensor]:
        """Mean of −log σ(s⁺ − s⁻) of each part, before λ and the loss scale."""
        P, Z = self.streams()
        losses = {}
        for (k, other), (users, positives, negatives) in batch.items():
            users = torch.from_numpy(np.concatenate([users, users]).astype(np.int64))
            items = np.concatenate([positives, negatives]).astype(np.int64) + self.n_users
            items = torch.from_numpy(items)
            if other is None:
                cascade, parallel = self.own_scores(k, P, Z, users, items)
                losses["cascade", (k, None)] = bpr(cascade)
                losses["parallel", (k, None)] = bpr(parallel)
            else:
                scores = self.unique_scores(other, k, Z, users, items)
                losses["unique", (k, other)] = bpr(scores)
        return losses

    def loss(self, batch: Mapping[Term, Rows]) -> torch.Tensor:
        """The whole loss, penalty included."""
        config = self.config
        total = sum(
            config.coefficients[k] * config.loss_scale * loss
            for (_, (k, _)), loss in self.losses(batch).items()
        )
        penalised = (self.weights[n] for n in ("user_embedding", "item_embedding", "gate_weight"))
        return total + config.regularization * sum(w.square().sum() for w in penalised)


def bpr(scores: torch.Tensor) -> torch.Tensor:
    """Mean of −log σ(s⁺ − s⁻) over rows [positives; negatives]."""
    positive, negative = scores.chunk(2)
    return F.softplus(negative - positive).mean()


class Sampler:
    """The batches of an epoch: users without replacement, draws with, by NumPy."""

    def __init__(self, dataset: Dataset, config: PkefConfig):
        self.config, self.n_items = config, dataset.n_items
        self.n_users = dataset.n_users
        self.random = np.random.default_rng(config.seed)
        shape = (dataset.n_users, dataset.n_items)
        matrices = [
            sp.csr_matrix((np.ones(len(csr.indices), np.int8), csr.indices, csr.indptr), shape)
            for csr in dataset.interactions
        ]
        self.sets: dict[Term, tuple[sp.csr_matrix, np.ndarray]] = {}
        behaviors = range(len(matrices))
        for k in behaviors:
            if not config.coefficients[k]:
                continue
            self._add((k, None), matrices[k], matrices[k])
            for j in behaviors:
                if j != k and not {j, k} & set(config.unique_excluded):
                    # official: in k and not in j
                    self._add((k, j), matrices[k] - matrices[k].multiply(matrices[j]), matrices[k])

    def _add(self, term: Term, positives: sp.csr_matrix, own: sp.csr_matrix) -> None:
        positives = positives.tocsr()
        positives.eliminate_zeros()
        positives.sort_indices()
        degrees = np.diff(positives.indptr)
        counts = np.minimum(self.config.samples_per_user, np.minimum(degrees, np.diff(own.indptr)))
        counts[degrees == self.n_items] = 0
        if counts.any():
            self.sets[term] = positives, counts

    def epoch(self):
        """Batches of one epoch."""
        take = min(self.config.users_per_epoch, self.n_users)
        users = self.random.permutation(self.n_users)[:take]
        for first in range(0, take, self.config.batch_users):
            yield self.batch(users[first : first + self.config.batch_users])

    def batch(self, users: np.ndarray) -> dict[Term, Rows]:
        """Rows of every term that has any."""
        batch = {}
        for term, (positives, counts) in self.sets.items():
            rows = np.repeat(users, counts[users])
            if len(rows):
                batch[term] = (rows, *self._draw(positives, rows))
        return batch

    def _draw(self, positives: sp.csr_matrix, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts, degrees = positives.indptr[rows], np.diff(positives.indptr)[rows]
        drawn = positives.indices[starts + self.random.integers(degrees)]
        return drawn, outside(positives, rows, self.random)


def outside(matrix: sp.csr_matrix, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """For each of these rows a random column where the matrix has nothing; drawn until one is."""
    columns = random.integers(matrix.shape[1], size=len(rows))
    wrong = np.arange(len(rows))
    while len(wrong := wrong[np.asarray(matrix[rows[wrong], columns[wrong]]).ravel() != 0]):
        columns[wrong] = random.integers(matrix.shape[1], size=len(wrong))
    return columns


class Training:
    """Makes steps: sample, forward, backward, update."""

    def __init__(self, dataset: Dataset, config: PkefConfig, parameters: Mapping, **options):
        dtype = config.dtype
        graphs = [
            adjacency(csr, dataset.n_items, config.normalization, config.self_loops, dtype.type)
            for csr in dataset.interactions
        ]
        parameters = {name: np.asarray(value, dtype) for name, value in parameters.items()}
        self.config = config
        self.model = TorchPkef(config, graphs, dataset.n_users, parameters, **options)
        self.sampler = Sampler(dataset, config)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), betas=(config.beta1, config.beta2), fused=True
        )
        self.made = 0
        self._batches = iter(())

    def make_step(self) -> float:
        """One whole step; returns its loss."""
        batch = next(self._batches, None)
        if batch is None:
            self._batches = self.sampler.epoch()
            batch = next(self._batches)
        return self.learn(batch)

    def learn(self, batch: Mapping[Term, Rows]) -> float:
        """Forward, backward and update on a batch; returns its loss."""
        self.optimizer.zero_grad()
        loss = self.model.loss(batch)
        loss.backward()
        config, step = self.config, self.made + 1
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * config.lr_decay ** (self.made // config.lr_decay_steps)
            # TensorFlow adds ε before the bias correction of √v, PyTorch after it.
            group["eps"] = config.adam_epsilon / (1 - config.beta2**step) ** 0.5
        self.optimizer.step()
        self.made = step
        return loss.item()
