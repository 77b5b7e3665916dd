"""Fixtures `exact_mbcgcn_*`."""

from __future__ import annotations

from pkef_fast.models.mbcgcn import MbCgcn, MbCgcnConfig

from .triples import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> MbCgcn:
    """The model of a fixture."""
    config = MbCgcnConfig(
        d=fields["d"],
        layers=tuple(fields["layers"]),
        regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return MbCgcn(config.checked(data.behaviors), data, place, parameters)


check = check_scores
