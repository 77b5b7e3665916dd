"""pkef-fast: multi-behaviour recommenders trained by hand-written kernels.

>>> from pkef_fast import PKEF, load_dataset
"""

from .data import Dataset, load_dataset
from .errors import DeviceError, InputError, PkefError, TrainingError
from .evaluate.figures import Evaluation
from .evaluate.lists import Recommendation
from .models.pkef.config import PkefConfig
from .models.pkef.presets import preset
from .pkef import PKEF
from .recommender import Recommender
from .train.callbacks import Callback

__version__ = "0.1.0"

__all__ = [
    "PKEF",
    "Callback",
    "Dataset",
    "DeviceError",
    "Evaluation",
    "InputError",
    "PkefConfig",
    "PkefError",
    "Recommendation",
    "Recommender",
    "TrainingError",
    "load_dataset",
    "preset",
]
