"""dropout: entries of a table, or edges of a graph, left out at random; counters remember which.

entries(x, rate, seed, step, stream=0) → y     y_e = x_e/(1 − rate) where entry e stays, else 0
                                               adjoint: the same of d_y
edges(adjacency, rate, seed, step, stream=0) → Adjacency      of the edges that stay, times
                                               1/(1 − rate); of the transposed: the transposed

    x, y (n, d) F, C order; 0 ≤ rate < 1; seed as `sample` has it; stream 0…2³²−1 tells what is
    dropped in one step apart; step 0…2³²−1, or on CUDA the clock (2,) uint32 of a replayed step on
    the device, whose clock[1] is the step's number.

Nothing is stored. Whether something stays depends on seed, step, stream and its own number alone,
w ≥ ⌊rate·2³²⌋ for the word w of Philox4x32-10 (`sample`):

    entry e in C order   word e mod 4 of counter (⌊e/4⌋ mod 2³², ⌊e/2³⁴⌋, step, stream)
    edge of nodes n, m   word 0 of counter (min(n, m), max(n, m), step, stream): both directions
                         stay or go together, also where they are in two patterns of one side each

under the seed's key with its high word xor ENTRIES or EDGES, so that nothing is drawn twice.

A dropped entry is 0 whatever it was, a NaN too. What stays is x·(1/(1 − rate)), rounded to F once.
`edges` keeps the order of a row and the self-loops, and divides scale_out. `reference` and `cpu`
leave edges out of the pattern. CUDA, whose shapes are fixed, puts −1 in their places and keeps
indptr; `propagate` adds nothing for them. Inputs are only read; threads change no bit.
"""

from __future__ import annotations

import numpy as np

from ..sample import key_of

ENTRIES, EDGES = 0x656E7472, 0x65646765


def key_for(seed: int, what: int) -> np.ndarray:
    """The Philox key (2,) uint32; what: ENTRIES or EDGES."""
    return key_of(seed) ^ np.array([0, what], np.uint32)


def threshold(rate: float) -> np.uint32:
    """⌊rate·2³²⌋: words below it are dropped."""
    if not 0 <= rate < 1:
        raise ValueError(f"rate {rate} is out of range; wanted at least 0 and less than 1.")
    return np.uint32(int(rate * 2**32))
