"""neighbours: for each item the items nearest to it, by two-hop sums or by how soon they follow.

U users, I items, K behaviours; M_k is the U × I pattern of behaviour k.

two_hop(by_user, by_item, user_roots, item_roots, n_behaviors, most)
        → counts (I,) int64, items (I, most) int32, values (I, most, K²) F
    The `most` items v ≠ i with the largest Σ_ab T_ab[i, v] > 0, by rising number, of equal sums the
    lowest numbers; values[i, n, a·K + b] is T_ab[i, items[i, n]] of

        T_ab[i, v] = Σ_u N_a[u, i] · N_b[u, v],     N_k = D_u^-½ M_k D_v^-½

    Row i has counts[i] of them; behind them items are I, which is no item, and values 0.

        by_user, by_item   Stacked: the K rows of each user, and the K rows (of users) of each item
        user_roots (U·K,), item_roots (I·K,) F     1 / √degree of each of their rows

soon_after(indptr, users, items, times, item_indptr, by_item, roots, most)
        → items (I, most) uint32, strength (I, most) F
    The `most` items with the largest S[i, v] > 0, in the same order and filled up with I and 0:

        S[i, v] = roots_i · roots_v · Σ_u max((1 + |t_ui − t_uv|)⁻², 1e-30)

    over the pairs of different places of a user's row that are at most REACH places apart.

        indptr (U+1,) int64, users, items (E,) int32, times (E,) float64    each user's touches, in
                           order of time, no item twice in a row
        item_indptr (I+1,) int64, by_item (E,) int64    the places of each item's touches, rising
        roots (I,) F       1 / √touches of each item

F is float32 in the CPU form, any float dtype in the reference; most ≥ 1. Sums run in the order of
the rows, so both forms give the same bits in float32. Empty rows and U = 0 or I = 0 are allowed.
Inputs are only read; results do not depend on the number of threads. There is no CUDA form: the
lists are made once a data set, on the host.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

REACH = 50  # touches: what is further apart adds next to nothing, and long rows cost the square
SMALLEST = np.float32(1e-30)  # of a summand of S, so that a sum of zero says: never met


class Stacked(NamedTuple):
    """K patterns as one: row r·K + k is row r of pattern k.

    indptr (R·K + 1,) int64, indices (E,) int32.
    """

    indptr: np.ndarray
    indices: np.ndarray
