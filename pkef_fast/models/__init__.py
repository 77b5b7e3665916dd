"""Models by name: a file or a folder each, and one line here.

What all of them have is `train.protocol.Model`; those that are trained by steps are a `Trained`.
"""

from __future__ import annotations

from ..errors import InputError, did_you_mean
from ..train.protocol import Model
from .crgcn import Crgcn
from .ghcf import Ghcf
from .gnmr import Gnmr
from .graph_rank import GraphRank
from .lightgcn import LightGcn
from .mbcgcn import MbCgcn
from .mbgcn import Mbgcn
from .mf import MfBpr
from .neumf import NeuMf
from .nmtr import Nmtr
from .pkef import Pkef
from .rgcn import Rgcn

MODELS: dict[str, type[Model]] = {
    "pkef": Pkef,
    "mf-bpr": MfBpr,
    "lightgcn": LightGcn,
    "rgcn": Rgcn,
    "mbgcn": Mbgcn,
    "crgcn": Crgcn,
    "mb-cgcn": MbCgcn,
    "neumf": NeuMf,
    "nmtr": Nmtr,
    "gnmr": Gnmr,
    "ghcf": Ghcf,
    "graph-rank": GraphRank,
}


def model_class(name: str) -> type[Model]:
    """The model called `name`; InputError for an unknown one."""
    if not isinstance(name, str) or name not in MODELS:
        raise InputError(f"model {name!r} is unknown{did_you_mean(name, MODELS)}")
    return MODELS[name]


__all__ = ["MODELS", "Model", "model_class"]
