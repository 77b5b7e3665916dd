"""Tests and benchmarks meet the package as it is installed, editable or from a wheel.

`python -m pytest` puts this folder first on the import path, and Python does so for children that
start here. Its folder `pkef_fast/` is half a package (`kernels/` and `cli/` lie beside it), and
would hide an installed one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.resolve()

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
os.environ["PYTHONSAFEPATH"] = "1"  # Python 3.11 and newer
