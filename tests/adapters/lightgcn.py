"""Fixtures `exact_lightgcn_*`."""

from __future__ import annotations

from pkef_fast.models.lightgcn import LightGcn, LightGcnConfig

from .triples import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> LightGcn:
    """The model of a fixture."""
    config = LightGcnConfig(
        d=fields["d"],
        layers=fields["layers"],
        regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return LightGcn(config.checked(data.behaviors), data, place, parameters)


check = check_scores
