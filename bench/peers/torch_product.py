"""Â x of one behaviour's graph by PyTorch; values are stored, as it needs them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from pkef_fast.kernels.propagate import Adjacency


def matrix_of(graph: Adjacency) -> torch.Tensor:
    """Â as a sparse CSR tensor with 32-bit indices, the fastest that PyTorch's product takes."""
    n_nodes = len(graph.indptr) - 1
    values = graph.scale_out.repeat(np.diff(graph.indptr)) * graph.scale_in[graph.indices]
    arrays = (graph.indptr, graph.indices, values)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            *map(torch.from_numpy, arrays), size=(n_nodes, n_nodes), check_invariants=False
        )


def product(graph: Adjacency, x: np.ndarray) -> Callable[[], torch.Tensor]:
    """A call that makes Â x; nothing is recorded for gradients."""
    matrix, dense = matrix_of(graph), torch.from_numpy(x)

    def call():
        with torch.inference_mode():
            return matrix @ dense

    return call
