"""The rank of each of a few hundred numbers among them, by a radix sort: 4 bytes, 4 passes.

Comparing each with each takes a vector machine four times as long at 300 numbers, and sorting by
comparisons longer still, for whether one is larger is not to be foreseen.
"""

from __future__ import annotations

import numpy as np

from ..jit import serial

DIGITS = 256


@serial()
def scratch(room):
    """What `write_ranks` works in, for so many numbers: keys and their bits, two lists, digits."""
    keys = np.empty(room, np.float32)
    return keys, keys.view(np.int32), np.empty((2, room), np.int64), np.empty((4, DIGITS), np.int32)


@serial()
def write_ranks(values, of_rank, work, result):
    """result[c] = of_rank[how many of the values are higher than values[c], in float32].

    There are fewer than 2³¹ of them.
    """
    keys, bits, lists, counts = work
    n = len(values)
    if n == 0:
        return
    counts[:] = 0
    now, then = lists[0], lists[1]
    for c in range(n):
        keys[c] = values[c] + values.dtype.type(0)  # −0 is 0
    for c in range(n):
        # Of floats of either sign, the higher one has the smaller key, without a sign.
        key = np.int64(bits[c])
        key = ~key & 0x7FFFFFFF if key >= 0 else key & 0xFFFFFFFF
        now[c] = key << 31 | c
        counts[0, key & 255] += 1
        counts[1, key >> 8 & 255] += 1
        counts[2, key >> 16 & 255] += 1
        counts[3, key >> 24] += 1
    for digit in range(4):
        shift, count = 31 + 8 * digit, counts[digit]
        if count[now[0] >> shift & 255] == n:
            continue  # all have the same
        start = np.int32(0)
        for value in range(DIGITS):
            start += count[value]
            count[value] = start - count[value]
        for t in range(n):
            value = now[t] >> shift & 255
            then[count[value]] = now[t]
            count[value] += 1
        now, then = then, now
    rank, before = 0, now[0] >> 31
    for t in range(n):
        key = now[t] >> 31
        if key != before:
            rank, before = t, key
        result[now[t] & 0x7FFFFFFF] = of_rank[rank]
