"""LightGCN's training step in plain PyTorch, for comparison.

Written from the equations like `torch_pkef`, with the same helpers: sparse products with the
symmetric graph, which is its own transpose, gradients by autograd, `torch.optim.Adam`, batches
drawn by NumPy. tests/test_peers.py holds it to the fixture's loss, gradients and updates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch

from pkef_fast.data.dataset import Dataset
from pkef_fast.graph.adjacency import adjacency
from pkef_fast.models.lightgcn import LightGcnConfig
from pkef_fast.train.config import TrainConfig

from .torch_pkef import Spread, bpr, outside

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, positives, negatives


def covers(config: TrainConfig) -> bool:
    """Whether this is the model that is written here."""
    return isinstance(config, LightGcnConfig)


class Training:
    """Makes steps: sample, forward, backward, update.

    By default at PyTorch's best settings; `plain` is what one writes who does not look for them: a
    COO matrix differentiated by autograd and Adam as it comes.
    """

    def __init__(
        self, dataset: Dataset, config: LightGcnConfig, parameters: Mapping, plain: bool = False
    ):
        dtype, target = config.dtype, dataset.interactions[-1]
        self.config, self.n_users, self.n_items = config, dataset.n_users, dataset.n_items
        graph = adjacency(target, dataset.n_items, "symmetric", False, dtype.type)
        self.spread = Spread(graph, "coo" if plain else "both")
        self.weights = {
            name: torch.nn.Parameter(torch.from_numpy(np.array(value, dtype)))
            for name, value in parameters.items()
        }
        self.optimizer = torch.optim.Adam(
            self.weights.values(), lr=config.lr, eps=config.adam_epsilon, fused=not plain
        )
        self.random = np.random.default_rng(config.seed)
        shape = (dataset.n_users, dataset.n_items)
        ones = np.ones(len(target.indices), np.int8)
        self.matrix = sp.csr_matrix((ones, target.indices, target.indptr), shape)
        degrees = np.diff(target.indptr)
        self.users = np.flatnonzero((degrees > 0) & (degrees < dataset.n_items))

    def make_step(self) -> float:
        """One whole step; returns its loss."""
        count = min(self.config.batch, len(self.users))
        users = self.random.choice(self.users, count, replace=False)
        starts, ends = self.matrix.indptr[users], self.matrix.indptr[users + 1]
        positives = self.matrix.indices[self.random.integers(starts, ends)]
        return self.learn((users, positives, outside(self.matrix, users, self.random)))

    def loss(self, batch: Triples) -> torch.Tensor:
        """The whole loss, penalty included."""
        E = torch.cat([self.weights["user_embedding"], self.weights["item_embedding"]])
        X = Z = E
        for _ in range(self.config.layers):
            X = self.spread(X)
            Z = Z + X
        Z = Z / (self.config.layers + 1)
        users, *items = (torch.from_numpy(np.asarray(one, np.int64)) for one in batch)
        nodes = [users, *(one + self.n_users for one in items)]
        u, positive, negative = (Z[one] for one in nodes)
        loss = bpr(torch.cat([(u * positive).sum(dim=1), (u * negative).sum(dim=1)]))
        squares = sum(E[one].square().sum() for one in nodes)
        return loss + self.config.regularization * 0.5 * squares / len(users)

    def learn(self, batch: Triples) -> float:
        """Forward, backward and update on a batch; returns its loss."""
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        self.optimizer.step()
        return loss.item()
