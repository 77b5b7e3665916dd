"""PKEF (Meng et al., CIKM 2023) in two readings: the paper's equations and the released code.

`config` and `presets` are its choices, `sampling` its batches, `pkf` the two streams, `heads` the
predictions, `model` what holds them together, `memory` what training needs.
"""

from .config import PkefConfig
from .model import Pkef
from .presets import preset

__all__ = ["Pkef", "PkefConfig", "preset"]
