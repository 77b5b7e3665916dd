"""pkef-fast: multi-behaviour recommenders trained by hand-written kernels.

>>> from pkef_fast import PKEF, load_dataset
"""

from .config import Config
from .data import Dataset, load_dataset
from .errors import DeviceError, InputError, PkefError, TrainingError
from .evaluation import Evaluation
from .presets import preset
from .recommender import PKEF, Observer, Recommendation, Recommender

__version__ = "0.1.0"

__all__ = [
    "PKEF",
    "Config",
    "Dataset",
    "DeviceError",
    "Evaluation",
    "InputError",
    "Observer",
    "PkefError",
    "Recommendation",
    "Recommender",
    "TrainingError",
    "load_dataset",
    "preset",
]
