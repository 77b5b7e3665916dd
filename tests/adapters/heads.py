"""Fixtures `exact_head_*`: PKEF's streams under the heads that it is compared with."""

from __future__ import annotations

from pkef_fast.models.pkef import Pkef, PkefConfig

from .pkef import batch, check

__all__ = ["batch", "build", "check"]


def build(fields, data, place, parameters) -> Pkef:
    """The model of a fixture; these heads have no unique loss."""
    fields = {**fields, "unique_loss": False, "lr": fields["learning_rate"]}
    del fields["learning_rate"]
    if fields.pop("hadamard", False) or "hadamard" in (fields.get("input"), fields.get("sb_input")):
        fields["bottom_input"] = "hadamard"
    for name in ("input", "sb_input"):
        fields.pop(name, None)
    config = PkefConfig(precision="float64").replaced(**fields).checked(data.behaviors)
    return Pkef(config, data, place, parameters)
