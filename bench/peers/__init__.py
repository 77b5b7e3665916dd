"""What others offer for the same work, side by side with this package's in one process.

    torch_product   Â x by PyTorch's sparse CSR product (SciPy's is the yardstick T itself)
    torch_pkef      a training step of the same model as a user of PyTorch would write it
    torch_lightgcn  the same for LightGCN
    implicit_bpr    an epoch of the library `implicit`'s matrix factorisation, for scale

Needs the extra `peers`. pkef_fast itself imports none of this; `pkef-fast bench --peers` loads it
from a clone.
"""

from __future__ import annotations

import importlib.util
import statistics

import numpy as np

from pkef_fast.kernels.propagate import Adjacency
from pkef_fast.report.stages import PRODUCT, STEP, Peer
from pkef_fast.train.trainer import Trainer

LIBRARIES = ("torch", "implicit")
IMPLICIT_RUNS = 3  # each of several epochs


def missing() -> list[str]:
    """The libraries that are not installed."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def peers(trainer: Trainer, graph: Adjacency, x: np.ndarray, threads: int) -> list[Peer]:
    """Peers of a model that is trained, and of the product of its first graph with x (N, d)."""
    config, data = trainer.model.config, trainer.dataset
    view = data.behaviors[0]
    found = []
    if "torch" not in missing():
        import torch

        from . import torch_lightgcn, torch_pkef, torch_product

        torch.set_num_threads(threads)
        found.append(
            Peer(f"PyTorch sparse CSR @ dense, {view}", PRODUCT, torch_product.product(graph, x))
        )
        for written in (torch_pkef, torch_lightgcn):
            if not written.covers(config):
                continue
            training = written.Training(data, config, trainer.model.stored())
            found.append(Peer("PyTorch step of the same model", STEP, training.make_step))
    if "implicit" not in missing():
        from .implicit_bpr import epoch_seconds

        def seconds():
            runs = (
                epoch_seconds(data.interactions[0], data.n_items, config.d, threads)
                for _ in range(IMPLICIT_RUNS)
            )
            return statistics.median(runs)

        found.append(Peer(f"implicit BPR, an epoch of {view}", "epoch", seconds=seconds))
    return found
