"""How the numbers of `exact_*` fixtures map to models: one module a model, named as in the file.

build(fields, data, place, parameters) → the model with the fixture's config and parameters
batch(z, model, data) → the batch of the training step
check(z, model, data, close), optional: compares what else the file holds of the forward pass
"""

from __future__ import annotations

import importlib
import importlib.util


def adapter_of(fields: dict):
    """The adapter for a fixture's config; None where its model is not built yet."""
    own = "pkef" if fields.get("head") in ("pme", "bilinear") else "heads"
    name = f"{__name__}.{fields.get('model', own)}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None
