"""Batches of triples, as several fixtures have them."""

from __future__ import annotations

import numpy as np

from pkef_fast.models.triples import compacted

NAMES = ("users", "positives", "negatives")


def batch(z, model, data):
    """The fixture's triples as the model's batch."""
    place = model.device.place
    triples = (place(z[f"batch.{name}"].astype(np.int32)) for name in NAMES)
    shape = (data.n_users, data.n_items)
    return compacted(*triples, shape, model.device.kernels, model.places, model.dtype)


def check_scores(z, model, data, close):
    """Scores of the batch's pairs."""
    scores, _ = model.scores(batch(z, model, data))
    wanted = np.concatenate([z["score.pos"], z["score.neg"]])
    close(scores.data, wanted, "scores", "score")
