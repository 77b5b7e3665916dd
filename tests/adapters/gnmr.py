"""Fixtures `exact_gnmr_*`."""

from __future__ import annotations

import numpy as np

from pkef_fast.models.gnmr import Gnmr, GnmrConfig
from pkef_fast.models.triples import UserTriples

from . import triples

__all__ = ["batch", "build", "check"]

NAMES = {"reg": "regularization", "learning_rate": "lr"}


def build(fields, data, place, parameters) -> Gnmr:
    """The model of a fixture."""
    known = {NAMES.get(name, name): value for name, value in fields.items() if name != "model"}
    config = GnmrConfig(precision="float64").replaced(**known)
    return Gnmr(config.checked(data.behaviors), data, place, parameters)


def batch(z, model, data) -> UserTriples:
    """The fixture's triples with the number of their different users."""
    return UserTriples(triples.batch(z, model, data), len(np.unique(z["batch.users"])))


def check(z, model, data, close):
    """Scores of the batch's pairs."""
    wanted = np.concatenate([z["score.pos"], z["score.neg"]])
    close(model.scores(batch(z, model, data)).data, wanted, "scores", "score")
