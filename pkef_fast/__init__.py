"""pkef-fast: multi-behaviour recommenders trained by hand-written kernels.

>>> from pkef_fast import PKEF, load_dataset

What stands here is imported when it is first asked for: Numba and SciPy take their time.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


class _RoomsOfAClone:
    """Finds the two rooms that lie beside this folder in a clone.

    Python started in a clone's folder takes `pkef_fast` from there, whatever is installed. The two
    rooms must then be that clone's too, and not another's that an editable install knows.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The import system's question, asked first of all finders."""
        package, _, room = name.rpartition(".")
        folder = Path(__file__).parents[1] / room
        if package != __name__ or room not in ("kernels", "cli") or not folder.is_dir():
            return None
        return spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


if not Path(__file__).with_name("kernels").is_dir():  # an installed package has its rooms inside
    sys.meta_path.insert(0, _RoomsOfAClone)

# Where each name is defined; a test holds this to the imports above.
_MODULES = {
    "PKEF": "pkef",
    "Callback": "train.callbacks",
    "Dataset": "data",
    "DeviceError": "errors",
    "Evaluation": "evaluate.figures",
    "InputError": "errors",
    "PkefConfig": "models.pkef.config",
    "PkefError": "errors",
    "Recommendation": "evaluate.lists",
    "Recommender": "recommender",
    "TrainingError": "errors",
    "load_dataset": "data",
    "preset": "models.pkef.presets",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value  # asked for once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
