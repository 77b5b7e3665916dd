"""What is imported when: nobody waits for Numba who asks for help or a version."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

import pkef_fast
from pkef_fast import cli
from pkef_fast.cli import COMMANDS, main

HEAVY = ("numba", "scipy", "numpy", "rich")


def test_python_started_in_a_clone_finds_every_room():
    """Also where the package is installed from a wheel: the clone's folder comes first there."""
    code = "import pkef_fast, pkef_fast.kernels.threads, pkef_fast.cli; print(pkef_fast.__path__)"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {code}"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


def heavy_modules(code: str) -> str:
    """Which heavy modules a new process has imported after `code`."""
    code += f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_the_package_imports_nothing_heavy():
    assert heavy_modules("import pkef_fast; pkef_fast.__version__; dir(pkef_fast)") == "[]"


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_and_version_import_nothing_heavy(words):
    code = f"from pkef_fast.cli import main\ntry: main({words!r})\nexcept SystemExit: pass"
    assert heavy_modules(code) == "[]"


def test_every_public_name_is_where_type_checkers_look_for_it():
    tree = ast.parse(Path(pkef_fast.__file__).read_text(encoding="utf-8"))
    block = next(one for one in tree.body if isinstance(one, ast.If))
    imported = {name.name: one.module for one in block.body for name in one.names}
    assert imported == pkef_fast._MODULES
    assert sorted(pkef_fast.__all__) == sorted(imported)
    for name in pkef_fast.__all__:
        assert getattr(pkef_fast, name).__name__ == name
        assert name in dir(pkef_fast)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pkef_fast.nothing  # noqa: B018


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_sentence_in_the_list_is_its_own(name):
    command = main.get_command(None, name)
    first = click.unstyle(command.help).strip().split("\n\n")[0]
    assert " ".join(first.split()) == COMMANDS[name]


def test_the_list_has_every_command():
    folder = Path(cli.__file__).parent
    modules = {path.stem: f"pkef_fast.cli.{path.stem}" for path in folder.glob("[a-z]*.py")}
    commands = {
        name
        for name, module in modules.items()
        if isinstance(getattr(importlib.import_module(module), name, None), click.Command)
    }
    assert commands == set(COMMANDS)
