"""Data sets: formats in and out, ids, splits, checks, the registry, and synthetic shops."""

from .dataset import Csr, Dataset
from .native import save_native
from .registry import load_dataset
from .summary import summary
from .synthetic import generate

__all__ = ["Csr", "Dataset", "generate", "load_dataset", "save_native", "summary"]
