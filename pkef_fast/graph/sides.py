"""Products that go from one side of a behaviour's graph to the other, and their transposes.

Tables still have a row for every node: what is made for users is zero in the items' rows, and the
other way round, for the cost of half a product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.dataset import Array
from ..kernels.propagate import Adjacency
from .adjacency import balanced_chunks, one_sided


class OneSided(NamedTuple):
    """A product and its transpose; neither pattern is symmetric."""

    forth: Adjacency
    back: Adjacency


def to_side(
    whole: Adjacency,
    n_users: int,
    side: str,
    scale_in: Array | None = None,
    scale_out: Array | None = None,
) -> OneSided:
    """y = scale_out ∘ (M (scale_in ∘ x)) for one side of a graph, on the host.

    Parameters
    ----------
    whole : Adjacency
        The whole graph; its scales do not matter.
    n_users : int
    side : {"users", "items"}
        Whose rows are made.
    scale_in, scale_out : (N,), optional
        All ones where not given.
    """
    users, items = one_sided(whole, n_users)
    rows, columns = (users, items) if side == "users" else (items, users)
    return OneSided(_scaled(rows, scale_in, scale_out), _scaled(columns, scale_out, scale_in))


def met_together(whole: Adjacency, n_users: int, small: float) -> OneSided:
    """The mean over the items that somebody met together with each item, itself among them.

    Their number plus `small` divides. The pattern is binary and nearly dense in busy shops.
    """
    import scipy.sparse as sp  # half of this package's import, and needed here alone

    n_nodes = len(whole.indptr) - 1
    to_users, to_items = (
        sp.csr_matrix(
            (np.ones(len(half.indices), np.float32), half.indices, half.indptr),
            shape=(n_nodes, n_nodes),
        )
        for half in one_sided(whole, n_users)
    )
    joined = to_items @ to_users
    joined.sort_indices()
    indptr = joined.indptr.astype(np.int32)
    both = whole._replace(
        indptr=indptr, indices=joined.indices.astype(np.int32), chunks=balanced_chunks(indptr)
    )
    forth = _scaled(both, None, inverse(np.diff(indptr), small))
    return OneSided(forth, forth.transposed)


def inverse(degrees: Array, small: float = 0.0) -> Array:
    """1 / (degree + small), and 0 where there is nothing to divide."""
    with np.errstate(divide="ignore"):
        return np.where(degrees > 0, 1 / (degrees + small), 0.0)


def _scaled(half: Adjacency, scale_in: Array | None, scale_out: Array | None) -> Adjacency:
    ones = np.ones_like(half.scale_out)
    scales = [ones if one is None else one.astype(ones.dtype) for one in (scale_in, scale_out)]
    units = [bool(np.all(one == 1)) for one in scales]
    names = ("scale_in", "scale_out", "unit_in", "unit_out")
    return half._replace(**dict(zip(names, (*scales, *units), strict=True)))
