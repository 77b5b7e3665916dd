"""rank on CUDA: launches of rank.cu. Contract: `__init__.py`.

`top_k` writes the scores of some users into a slab that stays in the L2 of a large GPU and selects
from it, so that memory is bounded whatever U × I; k has no limit but that k results are held. Ranks
need no scores in memory at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..cuda import C_TYPES, Instance, Launchers, ceil_div
from . import (
    DotScorer,
    ExpertsScorer,
    GatedScorer,
    RowsScorer,
    Scorer,
    check_items,
    float_type,
    n_items,
)

SOURCE = Path(__file__).with_name("rank.cu")

# As in rank.cu.
THREADS = 256
SIDE = 16
DEPTH = 8
USERS_BY_WARP = 8
KINDS = ("DOT", "GATED", "INTERACTION", "EXPERTS")

# Users whose features are laid out at a time: 8 MB of them with d = 64 and one product.
USERS = 16384
# Scores that `top_k` holds at a time: 32 MB in float32.
SLAB = 8 * 1024 * 1024
# Blocks of a sweep: some on every multiprocessor of the largest GPU, several times over.
BLOCKS = 1024

INSTANCES = (
    *(Instance(f"features<{T}>", THREADS) for T in ("float", "double")),
    *(
        Instance(f"sweep<{T}, {kind}, {use}>", THREADS, registers=registers)
        for T, registers in (("float", 192), ("double", 224))
        for kind in KINDS
        for use in ("SCORES", "RANKS")
    ),
    *(
        Instance(f"{name}<{T}, {kind}>", THREADS)
        for name in ("own_scores", "settle")
        for T in ("float", "double")
        for kind in KINDS
    ),
    *(Instance(f"select_best<{T}>", THREADS) for T in ("float", "double")),
)


class _Plan(NamedTuple):
    """What all launches for one scorer share."""

    kind: str
    dtype: np.dtype
    tile: int  # users, or items, of a tile
    d: int
    depth: int  # d up to a multiple of DEPTH
    n_slots: int
    width: int  # features of a column
    own: int
    projection_scale: float
    score_scale: float
    n_items: int
    tower: Any  # (depth,) with its factors and zeros; None where a scorer has none
    items: Any  # features (width, stride)


class Form(Launchers):
    """The operation on one backend."""

    __all__ = ("ranks", "scores", "survey", "top_k")
    source, instances = SOURCE, INSTANCES

    def _features(self, plan, scorer, side, rows, count):
        """Columns (width, stride) of users (side 0) or items (side 1)."""
        tower, linear = None, (0.0, 0.0, 1.0)  # factor, shift and sign of EXPERTS
        if plan.kind == "INTERACTION":
            vectors, logits, scale = scorer[side], scorer[3 + side], None
        elif plan.kind == "EXPERTS":
            vectors, logits, scale, tower = scorer[side], scorer[2 + side], None, scorer.tower
            m = scorer.score_scale
            linear = (m, m * scorer.offset, -1.0) if side else (m * scorer.slope, 0.0, 1.0)
        else:
            vectors = scorer[side]
            logits, scale = scorer[2 + side : 6 : 2] if plan.kind == "GATED" else (None, None)
        stride = ceil_div(count, plan.tile) * plan.tile
        out = self.xp.empty((plan.width, stride), plan.dtype)
        parts = (
            None if part is None else self.xp.ascontiguousarray(part)
            for part in (vectors, logits, scale)
        )
        self.kernel(f"features<{C_TYPES[plan.dtype]}>")(
            (ceil_div(stride, THREADS), plan.width),
            (THREADS,),
            (
                np.int32(KINDS.index(plan.kind)),
                *parts,
                rows,
                np.int32(count),
                np.int32(stride),
                np.int32(vectors.shape[-2]),
                np.int32(plan.d),
                np.int32(plan.depth),
                np.int32(plan.n_slots),
                np.int32(plan.own),
                tower,
                *map(plan.dtype.type, linear),
                out,
            ),
        )
        return out

    def _plan(self, scorer: Scorer) -> _Plan:
        dtype, total, d = float_type(scorer), n_items(scorer), scorer[0].shape[-1]
        depth = ceil_div(d, DEPTH) * DEPTH
        own, projection_scale, score_scale, n_slots = 0, 1.0, 1.0, 0
        vectors = 2  # of 16 bytes: the accumulators of a thread along either side
        tower = None
        if isinstance(scorer, DotScorer):
            kind, width = "DOT", depth
        elif isinstance(scorer, GatedScorer):
            kind, n_slots = "GATED", scorer.user_logits.shape[1]
            width = depth + 2 * n_slots
        elif isinstance(scorer, ExpertsScorer):
            kind, n_slots, vectors = "EXPERTS", scorer.user_logits.shape[1], 1
            d = len(scorer.tower)
            depth = ceil_div(d, DEPTH) * DEPTH
            width = (depth + 2) * n_slots
            tower = self.xp.zeros(depth, dtype)
            tower[:d] = scorer.tower * dtype.type(scorer.score_scale * (1 - scorer.slope))
        else:
            kind, n_slots, vectors = "INTERACTION", scorer.user_logits.shape[1], 1
            width = (2 * depth + 1) * n_slots
            own, projection_scale, score_scale = (
                scorer.own,
                scorer.projection_scale,
                scorer.score_scale,
            )
        tile = SIDE * vectors * 16 // dtype.itemsize
        plan = _Plan(
            kind,
            dtype,
            tile,
            d,
            depth,
            n_slots,
            width,
            own,
            projection_scale,
            score_scale,
            total,
            tower,
            None,
        )
        return plan._replace(items=self._features(plan, scorer, 1, None, total))

    def _shared_arguments(self, plan, users):
        return (
            np.int32(users.shape[1]),
            np.int32(plan.items.shape[1]),
            np.int32(plan.depth),
            np.int32(plan.n_slots),
            plan.tower,
            plan.dtype.type(plan.projection_scale),
            plan.dtype.type(plan.score_scale),
        )

    def _sweep(self, plan, users, count, use, scores, own, items, rank, tied):
        user_tiles, item_tiles = ceil_div(count, plan.tile), ceil_div(plan.n_items, plan.tile)
        tiles = ceil_div(item_tiles, min(item_tiles, ceil_div(BLOCKS, user_tiles)))
        self.kernel(f"sweep<{C_TYPES[plan.dtype]}, {plan.kind}, {use}>")(
            (user_tiles, ceil_div(item_tiles, tiles)),
            (THREADS,),
            (
                users,
                plan.items,
                np.int32(count),
                np.int32(plan.n_items),
                *self._shared_arguments(plan, users),
                np.int32(tiles),
                scores,
                own,
                items,
                rank,
                tied,
            ),
        )

    def _tables(self, scorer: Scorer) -> Scorer:
        """Rows as tables: a row of the unit matrix picks the user's, exactly where all is finite,
        for all else is times 0."""
        if not isinstance(scorer, RowsScorer):
            return scorer
        unit = self.xp.eye(len(scorer.rows), dtype=scorer.rows.dtype)
        return DotScorer(unit, self.xp.ascontiguousarray(self.xp.transpose(scorer.rows)))

    def scores(self, scorer, users):
        """Scores (b, I) of users against all items."""
        scorer = self._tables(scorer)
        out = self.xp.empty((len(users), n_items(scorer)), float_type(scorer))
        if out.size:
            plan = self._plan(scorer)
            for first in range(0, len(users), USERS):
                some = users[first : first + USERS]
                columns = self._features(plan, scorer, 0, some, len(some))
                self._sweep(plan, columns, len(some), "SCORES", out[first:], None, None, None, None)
        return out

    def ranks(self, scorer, users, items, seen_indptr, seen_indices):
        """Rank of each user's item among the candidates, from 0, and how many others tie."""
        scorer = self._tables(scorer)
        total, dtype = n_items(scorer), float_type(scorer)
        rank, tied = self.xp.empty((2, len(users)), np.int32)
        if not len(users):
            return rank, tied
        check_items(int(items.min()), int(items.max()), total)
        plan = self._plan(scorer)
        suffix = f"{C_TYPES[dtype]}, {plan.kind}"
        for first in range(0, len(users), USERS):
            some, wanted = users[first : first + USERS], items[first : first + USERS]
            count, rank_here, tied_here = len(some), rank[first:], tied[first:]
            columns = self._features(plan, scorer, 0, some, count)
            shared = self._shared_arguments(plan, columns)
            own = self.xp.empty(count, dtype)
            self.kernel(f"own_scores<{suffix}>")(
                (ceil_div(count, THREADS),),
                (THREADS,),
                (columns, plan.items, wanted, np.int32(count), *shared, own, rank_here, tied_here),
            )
            self._sweep(plan, columns, count, "RANKS", None, own, wanted, rank_here, tied_here)
            self.kernel(f"settle<{suffix}>")(
                (ceil_div(count, USERS_BY_WARP),),
                (THREADS,),
                (
                    columns,
                    plan.items,
                    some,
                    wanted,
                    own,
                    seen_indptr,
                    seen_indices,
                    np.int32(count),
                    *shared,
                    rank_here,
                    tied_here,
                ),
            )
        return rank, tied

    def top_k(self, scorer, users, k, seen_indptr, seen_indices):
        """The k best unseen items of each user and their scores."""
        scorer = self._tables(scorer)
        total, dtype = n_items(scorer), float_type(scorer)
        if not len(users) or not k or not total:
            shape = (len(users), k)
            return self.xp.full(shape, -1, np.int32), self.xp.full(shape, -np.inf, dtype)
        best = self.xp.empty((len(users), k), np.int32)
        values = self.xp.empty((len(users), k), dtype)
        plan = self._plan(scorer)
        at_once = min(max(SLAB // total // plan.tile, 1) * plan.tile, USERS)
        slab = self.xp.empty((min(at_once, len(users)), total), dtype)
        for first in range(0, len(users), at_once):
            some = users[first : first + at_once]
            columns = self._features(plan, scorer, 0, some, len(some))
            self._sweep(plan, columns, len(some), "SCORES", slab, None, None, None, None)
            self.kernel(f"select_best<{C_TYPES[dtype]}>")(
                (len(some),),
                (THREADS,),
                (
                    slab,
                    some,
                    seen_indptr,
                    seen_indices,
                    np.int32(total),
                    np.int32(k),
                    best[first:],
                    values[first:],
                ),
            )
        return best, values

    def survey(self, scorer, users, k, seen_indptr, seen_indices, asked_indptr, asked_items):
        """`top_k`, and the scores of the asked items of each user."""
        scorer, xp = self._tables(scorer), self.xp
        asked = xp.empty(len(asked_items), float_type(scorer))
        places = xp.arange(len(asked_items))
        rows = xp.searchsorted(asked_indptr, places, side="right") - 1
        at_once = max(SLAB // max(n_items(scorer), 1), 1)
        for first in range(0, len(users), at_once):
            some = users[first : first + at_once]
            here = slice(int(asked_indptr[first]), int(asked_indptr[first + len(some)]))
            asked[here] = self.scores(scorer, some)[rows[here] - first, asked_items[here]]
        return *self.top_k(scorer, users, k, seen_indptr, seen_indices), asked
