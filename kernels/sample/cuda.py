"""sample on CUDA. Contract: `__init__.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cuda import MAX_POINTERS, Instance, Launchers, Pointers, ceil_div
from . import EPOCH_STREAM, check_term, draw_caps, key_of, mix_of

THREADS = 256
WARPS = THREADS // 32
OFF = (np.uint32(0), np.uint32(0), None)  # no mix

SOURCE = Path(__file__).with_name("sample.cu")
INSTANCES = (
    *(
        Instance(name, threads=THREADS, registers=64)
        for name in (
            "philox",
            "epoch_numbers",
            "draw",
            "draw_slots",
            "positive_starts",
            "fill_positives",
            "take_users",
        )
    ),
    *(Instance(name, threads=32, registers=32) for name in ("record", "advance")),
)


class Form(Launchers):
    """Launches sample.cu."""

    __all__ = (
        "advance",
        "draw",
        "draw_caps",
        "draw_slots",
        "epoch_users",
        "mix_of",
        "philox4x32",
        "positives",
        "record",
        "take_users",
    )
    source, instances = SOURCE, INSTANCES
    draw_caps, mix_of = staticmethod(draw_caps), staticmethod(mix_of)

    def philox4x32(self, counter, key):
        """Philox4x32-10: four random words (n, 4) uint32 of each counter."""
        words, n = self.xp.empty_like(counter), len(counter)
        key = [np.uint32(int(word)) for word in key]
        self.kernel("philox")(
            (ceil_div(n, THREADS),), (THREADS,), (counter, np.int32(n), *key, words)
        )
        return words

    def epoch_users(self, n_users, take, seed, epoch):
        """The users of an epoch in order, without replacement, (min(take, n_users),) int32."""
        numbers = self.xp.empty(n_users, np.uint64)
        self.kernel("epoch_numbers")(
            (ceil_div(n_users, THREADS),),
            (THREADS,),
            (
                np.int32(n_users),
                np.uint32(epoch),
                np.uint32(EPOCH_STREAM),
                *key_of(seed),
                numbers,
            ),
        )
        # Once an epoch, outside of the captured step: the array module's own stable sort will do.
        return self.xp.argsort(numbers, kind="stable")[:take].astype(np.int32)

    def draw(self, indptr, indices, n_items, caps, users, seed, step, term, negatives=1, mix=None):
        """Positives and negatives of a batch: (rows, positives, negatives), int32 each."""
        check_term(term)
        key, n = key_of(seed), len(users)
        ends = self.xp.cumsum(caps[users], dtype=np.int64)
        offsets = ends - caps[users]
        size = int(ends[-1]) if n else 0
        rows, positives = (self.xp.empty(size, np.int32) for _ in range(2))
        drawn = self.xp.empty(negatives * size, np.int32)
        self.kernel("draw")(
            (ceil_div(n, WARPS) if size else 0,),
            (THREADS,),
            (
                indptr,
                indices,
                np.int32(n_items),
                caps,
                users,
                offsets,
                np.int32(n),
                np.int64(size),
                *key,
                np.uint32(step),
                np.uint32(term),
                np.int32(negatives),
                *(mix or OFF),
                rows,
                positives,
                drawn,
            ),
        )
        return rows, positives, drawn

    def draw_slots(
        self,
        indptr,
        indices,
        n_items,
        caps,
        users,
        seed,
        clock,
        term,
        samples,
        negatives=1,
        mix=None,
    ):
        """A batch in a fixed layout: (left, right, count), ends as nodes, −1: no row."""
        check_term(term)
        n = len(users)
        slots = n * samples
        left, right = (self.xp.empty((1 + negatives) * slots, np.int32) for _ in range(2))
        count = self.xp.empty((), np.int32)
        self.kernel("draw_slots")(
            (ceil_div(slots, THREADS) + 1,),
            (THREADS,),
            (
                indptr,
                indices,
                np.int32(len(indptr) - 1),
                np.int32(n_items),
                caps,
                users,
                np.int32(n),
                np.int32(samples),
                *key_of(seed),
                clock,
                np.uint32(term),
                np.int32(negatives),
                *(mix or OFF),
                left,
                right,
                count,
            ),
        )
        return left, right, count

    def positives(self, indptr, indices, users, capacity=None):
        """All that the users have: (rows, items), int32 each."""
        n = len(users)
        starts = self.xp.empty(n + 1, np.int32)
        self.kernel("positive_starts")((1,), (THREADS,), (indptr, users, np.int32(n), starts))
        if capacity is None:
            capacity = int(starts[-1])
        rows, items = (self.xp.empty(capacity, np.int32) for _ in range(2))
        self.kernel("fill_positives")(
            (ceil_div(capacity, THREADS),),
            (THREADS,),
            (indptr, indices, users, np.int32(n), starts, np.int32(capacity), rows, items),
        )
        return rows, items

    def take_users(self, epoch_users, clock, batch, users):
        """Fill `users` with those of batch clock[0] of the epoch."""
        size = len(users)
        self.kernel("take_users")(
            (ceil_div(size, THREADS),),
            (THREADS,),
            (epoch_users, clock, np.int32(batch), np.int32(size), users),
        )

    def record(self, values, clock, log):
        """log[clock[0]] = values, () float64 each."""
        for first in range(0, len(values), MAX_POINTERS):
            some = values[first : first + MAX_POINTERS]
            sizes = (np.int32(first), np.int32(log.shape[1]))
            self.kernel("record")(
                (1,), (32,), (Pointers(some), np.int32(len(some)), clock, *sizes, log)
            )

    def advance(self, clock):
        """Count a step: clock += 1."""
        self.kernel("advance")((1,), (32,), (clock,))
