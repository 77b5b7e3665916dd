"""Fixtures `exact_rgcn_*`."""

from __future__ import annotations

from pkef_fast.models.rgcn import Rgcn, RgcnConfig

from .triples import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> Rgcn:
    """The model of a fixture."""
    config = RgcnConfig(
        d=fields["d"],
        layers=fields["layers"],
        directed=fields["directed"],
        last_activation=fields["last_activation"],
        regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return Rgcn(config.checked(data.behaviors), data, place, parameters)


check = check_scores
