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
from pkef_fast.train.protocol import TARGET
from pkef_fast.train.trainer import Trainer

LIBRARIES = ("torch", "implicit")
SAME_STEP = "PyTorch step of the same model"
IMPLICIT_RUNS = 3  # each of several epochs


def missing() -> list[str]:
    """The libraries that are not installed."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def peers(trainer: Trainer, graph: Adjacency, x: np.ndarray, threads: int) -> list[Peer]:
    """Peers of a model that is trained, and of the product of the first graph with x (N, d)."""
    config, data = trainer.model.config, trainer.dataset
    found = []
    if "torch" not in missing():
        import torch

        from . import torch_lightgcn, torch_pkef, torch_product

        torch.set_num_threads(threads)
        name = f"PyTorch sparse CSR @ dense, {data.behaviors[0]}"
        found.append(Peer(name, PRODUCT, torch_product.product(graph, x)))
        start = trainer.model.stored()
        if torch_pkef.covers(config):
            found.append(Peer(SAME_STEP, STEP, torch_pkef.Training(data, config, start).make_step))
        if torch_lightgcn.covers(config):
            tuned = torch_lightgcn.Training(data, config, start)
            plain = torch_lightgcn.Training(data, config, start, plain=True)
            found.append(Peer(f"{SAME_STEP}, tuned", STEP, tuned.make_step))
            found.append(Peer(f"{SAME_STEP}, plain", STEP, plain.make_step))
    if "implicit" not in missing():
        from .implicit_bpr import epoch_seconds

        # Of what the model's own epoch goes through: the target's pairs where it reads no others.
        number = -1 if trainer.model.about.reads == TARGET else 0

        def seconds():
            runs = (
                epoch_seconds(data.interactions[number], data.n_items, x.shape[1], threads)
                for _ in range(IMPLICIT_RUNS)
            )
            return statistics.median(runs)

        name = f"implicit BPR, an epoch of {data.behaviors[number]}"
        found.append(Peer(name, "epoch", seconds=seconds))
    return found
