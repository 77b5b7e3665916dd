"""Fixtures `exact_mbgcn_*`."""

from __future__ import annotations

from pkef_fast.models.mbgcn import Mbgcn, MbgcnConfig

from .triples import batch, check_scores

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> Mbgcn:
    """The model of a fixture."""
    config = MbgcnConfig(
        d=fields["d"],
        item=fields["item"],
        item_item=fields["lam"],
        regularization=fields["l2"],
        lr=fields["learning_rate"],
        adam_form=fields["adam_form"],
        precision="float64",
    )
    return Mbgcn(config.checked(data.behaviors), data, place, parameters)


check = check_scores
