"""Fixtures `exact_ghcf_*`."""

from __future__ import annotations

import numpy as np

from pkef_fast.models.ghcf import Ghcf, GhcfConfig


def build(fields, data, place, parameters) -> Ghcf:
    """The model of a fixture."""
    config = GhcfConfig(
        d=fields["d"],
        layers=fields["layers"],
        coefficients=tuple(fields["coefficients"]),
        negative_weight=fields["negative_weight"],
        regularization=fields["decay"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return Ghcf(config.checked(data.behaviors), data, place, parameters)


def batch(z, model, data):
    """The fixture's users, with all that they did."""
    users = model.device.place(z["batch.users"].astype(np.int32))
    return model.sampler(data).of(users, 0)


def check(z, model, data, close):
    """The loss of each behaviour that has one."""
    losses = model.losses(batch(z, model, data))
    for k in model.live:
        close(losses[f"loss.{k}"].data, z[f"loss.{k}"], "loss", f"loss.{k}")
