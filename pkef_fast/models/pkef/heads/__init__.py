"""Prediction heads: from the streams' tables to scores of pairs, and of everything at once.

`base` is what a head has. `pme` and `bilinear` score each behaviour from its own table; `coupled`
adds up all tables first, as the heads of multi-task learning do: `mixtures` are shared bottom, MMoE
and PLE, `bottoms` the other forms of a shared bottom.
"""

from __future__ import annotations

from ..config import PkefConfig
from .base import Head
from .bilinear import BilinearHead, FullBilinearHead
from .bottoms import HadamardBottom, LiteralBottom
from .mixtures import MmoeHead, PleHead, SharedBottomHead
from .pme import PmeHead

__all__ = ["Head", "head_of"]


def head_of(config: PkefConfig, n_behaviors: int) -> Head:
    """The head that a config asks for."""
    kind = {"pme": PmeHead, "mmoe": MmoeHead, "ple": PleHead}.get(config.head)
    if config.head == "bilinear":
        kind = BilinearHead if config.relation == "diagonal" else FullBilinearHead
    elif config.head == "shared_bottom":
        kind = LiteralBottom if config.literal else SharedBottomHead
        if config.bottom_input == "hadamard":
            kind = HadamardBottom
    return kind(config, n_behaviors)
