"""Fixtures `exact_nmtr_*`."""

from __future__ import annotations

from pkef_fast.models.nmtr import Nmtr, NmtrConfig

from .labels import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> Nmtr:
    """The model of a fixture."""
    config = NmtrConfig(
        d=fields["d"],
        unit=fields["unit"],
        half=fields["half"],
        coefficients=tuple(fields["coefficients"] or ()),
        regularization=fields["reg"],
        item_regularization=fields["reg"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return Nmtr(config.checked(data.behaviors), data, place, parameters)


check = check_scores
