"""Batches of labelled pairs, as several fixtures have them."""

from __future__ import annotations

import numpy as np

from pkef_fast.models.labels import labelled


def batch(z, model, data):
    """The fixture's pairs as the model's batch."""
    place, kernels = model.device.place, model.device.kernels
    users, items = (place(z[f"batch.{name}"].astype(np.int32)) for name in ("users", "items"))
    labels = z["batch.labels"].reshape(len(z["batch.labels"]), -1).T
    labels = place(np.ascontiguousarray(labels, model.dtype))
    return labelled(users, items, labels, (data.n_users, data.n_items), kernels)


def check_scores(z, model, data, close):
    """Scores of the batch's pairs."""
    wanted = z["score"].reshape(len(z["score"]), -1).T
    for found, one in zip(model.scores(batch(z, model, data)), wanted, strict=True):
        close(found.data, one, "scores", "score")
