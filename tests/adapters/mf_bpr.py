"""Fixtures `exact_mf_bpr_*`."""

from __future__ import annotations

from pkef_fast.models.mf import MfBpr, MfConfig

from .triples import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> MfBpr:
    """The model of a fixture."""
    config = MfConfig(
        d=fields["d"],
        regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return MfBpr(config.checked(data.behaviors), data, place, parameters)


check = check_scores
