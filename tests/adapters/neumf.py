"""Fixtures `exact_neumf_*`."""

from __future__ import annotations

from pkef_fast.models.neumf import NeuMf, NeuMfConfig

from .labels import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> NeuMf:
    """The model of a fixture."""
    config = NeuMfConfig(
        gmf_factors=fields["gmf_factors"],
        layers=tuple(fields["layers"]),
        regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return NeuMf(config.checked(data.behaviors), data, place, parameters)


check = check_scores
