"""Data sets: formats in and out, ids, splits, checks, the registry and made-up data.

>>> from pkef_fast.data import load_dataset
>>> data = load_dataset("demo")
>>> data.behaviors
('view', 'cart', 'buy')
"""

from .dataset import Csr, Dataset
from .known import DATASETS
from .native import save_native
from .registry import load_dataset
from .summary import summary
from .synthetic import generate

__all__ = [
    "DATASETS",
    "Csr",
    "Dataset",
    "generate",
    "load_dataset",
    "save_native",
    "summary",
]
