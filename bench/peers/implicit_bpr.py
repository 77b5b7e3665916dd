"""An epoch of `implicit`'s BPR matrix factorisation: a much smaller model, for scale.

Its epoch draws as many triples as there are interactions and updates by each, without a graph.
"""

from __future__ import annotations

import time

import numpy as np
import scipy.sparse as sp
from implicit.cpu.bpr import BayesianPersonalizedRanking

from pkef_fast.data.dataset import Csr

EPOCHS = 5


def epoch_seconds(interactions: Csr, n_items: int, d: int, threads: int) -> float:
    """Seconds an epoch on one behaviour's interactions, the preparation left out.

    From the time of EPOCHS + 1 epochs less that of one, so that what `fit` does once is not in it.
    """
    values = np.ones(len(interactions.indices), np.float32)
    shape = (len(interactions.indptr) - 1, n_items)
    matrix = sp.csr_matrix((values, interactions.indices, interactions.indptr), shape)
    seconds = []
    for epochs in (1, EPOCHS + 1):
        model = BayesianPersonalizedRanking(
            factors=d, iterations=epochs, num_threads=threads, random_state=0
        )
        start = time.perf_counter()
        model.fit(matrix, show_progress=False)
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / EPOCHS
