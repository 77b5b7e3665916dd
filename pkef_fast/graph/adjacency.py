"""Behaviour graphs: from U × I interactions to the symmetric patterns that are propagated over.

Nodes are users, then items: item i is node U + i. No values are stored: a pattern is binary, and
its normalisation is a scale for each row and column (spec: left D⁻¹A, right A·D⁻¹, symmetric
D^-½ A D^-½, none A itself; with self-loops A + I and D + 1).
"""

from __future__ import annotations

import numpy as np

from ..data.dataset import Csr
from ..data.patterns import keys_of, pattern
from ..kernels.propagate import Adjacency

# Pieces of a graph with about equal work; many more than threads, so that they balance.
CHUNKS = 256
NORMALIZATIONS = ("left", "right", "symmetric", "none")


def transpose(csr: Csr, n_columns: int) -> Csr:
    """The I × U pattern of a U × I one; rows rising."""
    n_rows = len(csr.indptr) - 1
    rows = np.repeat(np.arange(n_rows, dtype=np.int32), np.diff(csr.indptr))
    order = np.argsort(csr.indices, kind="stable")
    indptr = np.zeros(n_columns + 1, np.int32)
    np.cumsum(np.bincount(csr.indices, minlength=n_columns), out=indptr[1:])
    return Csr(indptr, rows[order])


def _scales(degrees, normalization: str):
    """(scale_in, scale_out) of a normalisation; None stands for all ones."""
    if normalization == "none":
        return None, None
    with np.errstate(divide="ignore"):
        inverse = np.where(degrees > 0, 1 / degrees, 0.0)
    if normalization == "left":
        return None, inverse
    if normalization == "right":
        return inverse, None
    root = np.sqrt(inverse)
    return root, root


def reordered(csr: Csr, n_columns: int, nodes: np.ndarray) -> Csr:
    """A U × I pattern with user nodes[u] in row u and item nodes[U + i] − U in column i."""
    import scipy.sparse as sp  # half of this package's import, and needed for graphs alone

    n_rows = len(csr.indptr) - 1
    ones = np.ones(len(csr.indices), np.int8)
    matrix = sp.csr_matrix((ones, csr.indices, csr.indptr), shape=(n_rows, n_columns))
    matrix = matrix[nodes[:n_rows]][:, nodes[n_rows:] - n_rows]
    matrix.sort_indices()
    return Csr(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32))


def adjacency(
    interactions: Csr,
    n_items: int,
    normalization: str = "left",
    self_loops: bool = False,
    dtype: type = np.float32,
    storage: str = "exact",
) -> Adjacency:
    """The normalised adjacency of one behaviour's (U × I) interactions, (U+I) nodes."""
    n_users = len(interactions.indptr) - 1
    back = transpose(interactions, n_items)
    edges = len(interactions.indices)
    if 2 * edges > np.iinfo(np.int32).max:
        raise ValueError(f"{edges} interactions are more than 32-bit indices can hold")
    indptr = np.concatenate([interactions.indptr, back.indptr[1:] + np.int32(edges)])
    indices = np.concatenate([interactions.indices + np.int32(n_users), back.indices])
    degrees = np.diff(indptr) + int(self_loops)
    scale_in, scale_out = _scales(degrees, normalization)
    ones = np.ones(len(degrees), dtype)
    return Adjacency(
        indptr=indptr.astype(np.int32, copy=False),
        indices=indices.astype(np.int32, copy=False),
        scale_in=ones if scale_in is None else scale_in.astype(dtype),
        scale_out=ones if scale_out is None else scale_out.astype(dtype),
        unit_in=scale_in is None,
        unit_out=scale_out is None,
        self_loop=int(self_loops),
        chunks=balanced_chunks(indptr),
        storage=storage,
    )


def one_sided(graph: Adjacency, n_users: int) -> tuple[Adjacency, Adjacency]:
    """(to users, to items): the products with one half of Â, for the cost of one half.

    Rows of the other side have no neighbours, so `spread` makes them zero. These patterns are not
    symmetric, which `spread` alone does not mind; neither has a transpose here.
    """
    indptr = graph.indptr
    edges = indptr[n_users]
    halves = (
        (np.minimum(indptr, edges), graph.indices[:edges]),
        (np.maximum(indptr, edges) - edges, graph.indices[edges:]),
    )
    return tuple(
        graph._replace(indptr=rows, indices=indices, chunks=balanced_chunks(rows))
        for rows, indices in halves
    )


def balanced_chunks(indptr, pieces: int = CHUNKS):
    """Row bounds (≤ pieces + 1,) int32 of pieces with about equal rows + edges."""
    n_rows = len(indptr) - 1
    work = indptr.astype(np.int64) + np.arange(n_rows + 1)
    targets = np.linspace(0, work[-1], pieces + 1)
    bounds = np.searchsorted(work, targets)
    bounds[0], bounds[-1] = 0, n_rows
    return np.unique(bounds).astype(np.int32)


def difference(a: Csr, b: Csr, n_items: int) -> Csr:
    """Pairs that are in `a` and not in `b`."""
    left = np.setdiff1d(keys_of(a, n_items), keys_of(b, n_items), assume_unique=True)
    return pattern(*np.divmod(left, max(n_items, 1)), len(a.indptr) - 1, n_items)
