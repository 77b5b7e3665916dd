"""How the numbers of `exact_*` fixtures map to models: one module a model, named as in the file.

build(fields, data, place, parameters) → the model with the fixture's config and parameters
batch(z, model, data) → the batch of the training step
check(z, model, data, close), optional: what else the file holds, the forward quantities say
sampled(fields, data, place), optional: what decides whether a fixture is for this model
"""

from __future__ import annotations

from . import crgcn, lightgcn, mbcgcn, mf_bpr, pkef

ADAPTERS = {"pkef": pkef, "mf_bpr": mf_bpr, "lightgcn": lightgcn}
ADAPTERS |= {"mbcgcn": mbcgcn, "crgcn": crgcn}


def adapter_of(fields: dict):
    """The adapter for a fixture's config; None where its model is not built yet."""
    if "model" in fields:
        return ADAPTERS.get(fields["model"])
    return ADAPTERS["pkef"] if fields.get("head") in ("pme", "bilinear") else None
