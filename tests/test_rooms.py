"""The README's map of the code is the folder listing, and imports run down it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NO_ROOMS = {"__init__.py", "py.typed", "__pycache__"}
TOP = {"kernels/", "cli/"}  # rooms of the package that lie beside it
BESIDE = {"bench/", "tests/", "docs/"}


def rows() -> list[str]:
    """The rooms of the README's table, from the top down."""
    text = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## How to read the code\n")[2]
    )
    table = text.partition("\n| room |")[2].partition("\n\n")[0]
    return [re.fullmatch(r"\| `([^`]+)` \| .+ \|", line)[1] for line in table.splitlines()[2:]]


def folder_listing() -> set[str]:
    """The entries of the package and the rooms beside it, as the table writes them."""
    entries = {
        f"pkef_fast/{path.name}{'/' if path.is_dir() else ''}"
        for path in (ROOT / "pkef_fast").iterdir()
        if path.name not in NO_ROOMS
    }
    return entries | TOP | BESIDE


def sources() -> dict[str, Path]:
    """{module: file} of the package, under the names by which it is imported."""
    found = {}
    for folder in ("pkef_fast", "kernels", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            inner = path.relative_to(ROOT).with_suffix("")
            parts = inner.parts if folder == "pkef_fast" else ("pkef_fast", *inner.parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(module: str, path: Path, modules: set[str], for_types: bool = True) -> set[str]:
    """Modules of the package that a module imports, at its top and in functions.

    `for_types`: also those that only a type checker imports. `__version__` is no module.
    """
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found, tree = set(), ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            node.body = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        for name in names:
            # The module itself, or the one that the name is in.
            place = name if name in modules else name.rpartition(".")[0]
            if place in modules and not name.startswith("pkef_fast.__"):
                found.add(place)
    return found - {module}


def room_of(module: str) -> str | None:
    """The row of the table that a module is in; None for the package itself."""
    parts = module.split(".")[1:]
    if not parts:
        return None
    if f"{parts[0]}/" in TOP:
        return f"{parts[0]}/"
    is_folder = (ROOT / "pkef_fast" / parts[0]).is_dir()
    return f"pkef_fast/{parts[0]}{'/' if is_folder else '.py'}"


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    files = sources()
    return {module: imports(module, path, set(files)) for module, path in files.items()}


def test_the_table_is_the_folder_listing():
    table = rows()
    assert len(table) == len(set(table))
    assert set(table) == folder_listing()


def test_imports_run_down_the_table(graph):
    place = {room: n for n, room in enumerate(rows())}
    up = sorted(
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if None not in (room_of(module), room_of(other))
        and place[room_of(module)] > place[room_of(other)]
    )
    assert up == []


def test_no_room_imports_the_package_itself(graph):
    """`pkef_fast` gathers the names that users import; who imports it imports everything."""
    assert sorted(module for module, others in graph.items() if "pkef_fast" in others) == []


def test_no_circles_of_modules():
    """Each module can be read after those that it imports."""
    files = sources()
    left = {module: imports(module, path, set(files), False) for module, path in files.items()}
    while ready := {module for module, others in left.items() if not others}:
        left = {module: others - ready for module, others in left.items() if module not in ready}
    assert sorted(left) == []


def test_the_graph_holds_what_it_should(graph, tmp_path):
    """Imports at the top, in functions, of packages and of names in them are all seen."""
    assert len(graph) > 80
    assert "pkef_fast.errors" in graph["pkef_fast.data.checks"]
    assert "pkef_fast.data.native" in graph["pkef_fast.data.layouts"]  # from . import native
    assert sum("pkef_fast.kernels" in one for others in graph.values() for one in others) > 20
    assert not graph["pkef_fast.errors"]
    path = tmp_path / "module.py"
    path.write_text(
        "if TYPE_CHECKING:\n    from ..recommender import Recommender\n"
        "def f():\n    from ..errors import InputError\n    import pkef_fast.config.toml\n"
        "    from .. import __version__, device\n",
        encoding="utf-8",
    )
    seen = {"pkef_fast.errors", "pkef_fast.config.toml", "pkef_fast.device"}
    assert imports("pkef_fast.data.module", path, set(graph), False) == seen
    seen |= {"pkef_fast.recommender"}
    assert imports("pkef_fast.data.module", path, set(graph)) == seen
