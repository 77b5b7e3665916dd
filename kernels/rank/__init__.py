"""rank: full ranking of all items for users, without ever forming U × I.

Scores of user u and item v (U users, I items, K behaviours; own behaviour in slot 0 of the gate; m
is the scorer's `score_scale`, t its `projection_scale`; n experts of w columns):

    DotScorer           s = ⟨left_u, right_v⟩
    GatedScorer         s = ⟨left_u, right_v⟩ · Σ_j g_j·user_scale_uj·item_scale_vj
    InteractionScorer   s = m·S·(g_0 + t·Σ_{j>0} g_j·cos(q^j, q^own)), S = Σ over d of q^own,
                        q^j = Zu^j ∘ Zv^j, cos(a,b) = ⟨a,b⟩ / (√(⟨a,a⟩ + ε)·√(⟨b,b⟩ + ε)), ε = 1e-12
    ExpertsScorer       s = m·(Σ_j g_j·Σ_a tower_a·LReLU(left_uj + right_vj)_a + offset)
    RowsScorer          s = rows_uv, for models that score all items of a block of users at once

with g = softmax_j(user_logits_u + item_logits_v). The first is for every plain dot product; the
second is the official PME (each side projection is a multiple of the own row, so its expert is one
number a node), the third the paper's (Eq. 4, 5, 15). The fourth is that of mixtures whose first
layers are split into the two sides (`experts`): LReLU(x) = slope·x + (1 − slope)·max(x, 0) and
max(a + b, 0) = b + max(a, −b), so that all but Σ_a tower_a·max(left, −right)_a is one number a node
and expert, and a column costs a pair a maximum and a multiply-add.

Entry points (reference.py and cpu.py have the same)
----------------------------------------------------
scores(scorer, users) → s (b, I) F
ranks(scorer, users, items, seen_indptr, seen_indices) → rank (n,) int32, tied (n,) int32
    Candidates of users[i]: all items outside the user's seen row, and items[i] in any case.
    rank = candidates with a higher score + those with an equal score and a lower number (0 = best),
    tied = other candidates with an equal score. A candidate that is NaN counts as higher, and an
    item whose own score is NaN comes last: a broken model never looks good.
top_k(scorer, users, k, seen_indptr, seen_indices) → items (b, k) int32, scores (b, k) F
    The k best items outside the seen row, by falling score, equal ones by rising number; −1 and
    −inf where there are fewer. Scores of −inf and NaN are never listed.

survey(scorer, users, k, seen_indptr, seen_indices, asked_indptr, asked_items)
        → items (b, k) int32, scores (b, k) F, asked (E,) F
    `top_k`, and the scores of asked_items[e], which stand in rows by the place
    of their user, asked_indptr (b+1,); a row's items rise, and may be seen ones.

users, items (n,) int32, users may repeat; seen_indptr (U+1,), seen_indices int32, rows rising and
without repeats. All float arrays of a scorer have one dtype F (float32 or float64). n = 0, b = 0,
k = 0, I = 0 and U = 0 are allowed. Inputs are only read. Results do not depend on the number of
threads, nor an item's score on its place or on the other users of the call: equal rows give equal
scores, and all others see exactly the numbers of `scores`.

Any finite logits give finite scores, however far apart they are.

Source: spec "Evaluation" (the release's order of ties); candidates as in the release.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EPSILON = 1e-12
FAR = 1e-6  # share of the largest number below which no intermediate result overflows


class DotScorer(NamedTuple):
    """s = ⟨left_u, right_v⟩; left (U, d), right (I, d)."""

    left: np.ndarray
    right: np.ndarray


class GatedScorer(NamedTuple):
    """s = ⟨left_u, right_v⟩ · Σ_j g_j·user_scale_uj·item_scale_vj.

    left (U, d), right (I, d); user_logits, user_scale (U, K); item_logits, item_scale (I, K).
    """

    left: np.ndarray
    right: np.ndarray
    user_logits: np.ndarray
    item_logits: np.ndarray
    user_scale: np.ndarray
    item_scale: np.ndarray


class InteractionScorer(NamedTuple):
    """The gate over interaction-level projections onto behaviour `own`; see the contract above.

    user_tables (K, U, d), item_tables (K, I, d) by behaviour; user_logits (U, K) and item_logits
    (I, K) by slot: `own` first, then the others in rising order.
    """

    user_tables: np.ndarray
    item_tables: np.ndarray
    own: int
    user_logits: np.ndarray
    item_logits: np.ndarray
    projection_scale: float
    score_scale: float


class ExpertsScorer(NamedTuple):
    """A mixture of n one-layer networks; see the contract above.

    left (U, n·w), right (I, n·w): the first layers' halves, expert after expert; user_logits (U, n)
    and item_logits (I, n) of the gate, zeros where one expert has none; tower (w,).
    """

    left: np.ndarray
    right: np.ndarray
    user_logits: np.ndarray
    item_logits: np.ndarray
    tower: np.ndarray
    offset: float
    slope: float
    score_scale: float


class RowsScorer(NamedTuple):
    """s = rows_uv; rows (U, I)."""

    rows: np.ndarray


Scorer = DotScorer | GatedScorer | InteractionScorer | ExpertsScorer | RowsScorer


def slots(n_behaviors: int, own: int) -> list[int]:
    """Behaviour of each slot of the gate: `own` first, the others in rising order."""
    return [own, *(j for j in range(n_behaviors) if j != own)]


def float_type(scorer: Scorer) -> np.dtype:
    """The one dtype F of a scorer's arrays; ValueError where they differ."""
    # A device's arrays are not NumPy's; numbers have no axes.
    dtypes = {part.dtype for part in scorer if getattr(part, "ndim", 0)}
    if len(dtypes) > 1:
        names = ", ".join(sorted(map(str, dtypes)))
        raise ValueError(f"the arrays of a {type(scorer).__name__} must share one dtype: {names}.")
    return dtypes.pop()


def check_items(lowest: int, highest: int, total: int) -> None:
    """ValueError for held-out items outside 0…total − 1."""
    if not 0 <= lowest <= highest < total:
        raise ValueError(f"items must lie in 0…{total - 1}; found {lowest}…{highest}.")


def n_items(scorer: Scorer) -> int:
    """Items that a scorer scores."""
    if isinstance(scorer, InteractionScorer):
        return scorer.item_tables.shape[1]
    if isinstance(scorer, RowsScorer):
        return scorer.rows.shape[1]
    return len(scorer.right)


def of_users(scorer: Scorer, users: np.ndarray) -> Scorer:
    """The scorer of these users alone, numbered by their places."""
    if isinstance(scorer, InteractionScorer):
        return scorer._replace(
            user_tables=scorer.user_tables[:, users], user_logits=scorer.user_logits[users]
        )
    names = [
        name for name in ("rows", "left", "user_logits", "user_scale") if hasattr(scorer, name)
    ]
    return scorer._replace(**{name: getattr(scorer, name)[users] for name in names})


def finite(scorer: Scorer) -> bool:
    """Whether it is certain that all scores are finite; the scorer's arrays are NumPy's.

    Certain for rows; for tables by the largest numbers in them, far from what overflows.
    """
    if isinstance(scorer, RowsScorer):
        return bool(np.isfinite(scorer.rows).all())
    # As Python floats, which have room for the product of any few float32.
    largest = [float(np.abs(part).max(initial=0)) for part in scorer if getattr(part, "ndim", 0)]
    if not np.isfinite(largest).all():
        return False
    limit = float(np.finfo(float_type(scorer)).max)
    if isinstance(scorer, InteractionScorer):
        product = largest[0] * largest[1]
        size = scorer.item_tables.shape[2] * max(product * product, product * len(largest))
        factors = [abs(scorer.projection_scale) + 1, abs(scorer.score_scale)]
    elif isinstance(scorer, ExpertsScorer):
        size = scorer.tower.shape[0] * (largest[0] + largest[1]) * largest[4]
        size += abs(scorer.offset)
        factors = [abs(scorer.slope) + 2, abs(scorer.score_scale)]
    else:
        size = scorer.right.shape[1] * largest[0] * largest[1]
        factors = largest[4:]
        factors = [one * scorer.user_scale.shape[1] for one in factors] if factors else []
    for factor in factors:
        size *= max(factor, 1.0)
    return size < FAR * limit
