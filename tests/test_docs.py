"""What the documentation quotes is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_the_tutorial_quotes_the_code():
    """Each line of its Python blocks, and each file and name that it sends the reader to."""
    text = (ROOT / "docs/spread.md").read_text()
    sources = "".join(
        (ROOT / name).read_text()
        for name in (
            "kernels/propagate/reference.py",
            "kernels/propagate/propagate.cu",
            "kernels/propagate/cuda.py",
            "kernels/propagate/__init__.py",
            "pkef_fast/ops.py",
            "pkef_fast/graph.py",
        )
    )
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for line in "".join(blocks).splitlines():
        assert squeezed(line) in squeezed(sources), line
    for name in ("add_edges", "shape_of", "def plan", "SEGMENT", "class Adjacency"):
        assert name in sources, name
        assert name.split()[-1] in text, name
    for path in re.findall(r"`((?:tests|bench|kernels)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
