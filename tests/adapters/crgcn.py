"""Fixtures `exact_crgcn_*`."""

from __future__ import annotations

import numpy as np

from pkef_fast.models.crgcn import Crgcn, CrgcnConfig
from pkef_fast.models.each_user import compacted


def build(fields, data, place, parameters) -> Crgcn:
    """The model of a fixture."""
    config = CrgcnConfig(
        d=fields["d"],
        layers=tuple(fields["layers"]),
        bias=any(name.startswith("bias.") for name in parameters),
        regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return Crgcn(config.checked(data.behaviors), data, place, parameters)


def batch(z, model, data):
    """The fixture's triples as the model's batch; those that are not valid are absent."""
    place, triples = model.device.place, []
    for k in range(len(data.behaviors)):
        valid = z[f"batch.{k}.valid"].astype(bool)
        names = (f"batch.{k}.positives", f"batch.{k}.negatives")
        triples.append(tuple(place(np.where(valid, z[n], -1).astype(np.int32)) for n in names))
    shape, kernels = (data.n_users, data.n_items), model.device.kernels
    users = place(z["batch.users"].astype(np.int32))
    return compacted(users, triples, shape, kernels, model.places)


def check(z, model, data, close):
    """Differences of the batch's scores, positive − negative, by behaviour."""
    for k, scores in enumerate(model.scores(batch(z, model, data))):
        positives, negatives = np.split(model.device.to_host(scores.data), 2)
        valid = z[f"batch.{k}.valid"].astype(bool)
        wanted = np.where(valid, z[f"difference.{k}"], 0)
        close(positives - negatives, wanted, "scores", f"difference.{k}")
