"""The package as others get it: the wheel, the documentation's claims, the examples."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pkef_fast
from pkef_fast import kernels
from pkef_fast.cli import main

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_the_rooms_under_their_names(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "pkef_fast", "kernels", "cli"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", site, wheel], check=True)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import pkef_fast.kernels, pkef_fast.cli\n"
        "pkef_fast.kernels.load('reference')\n"
        "print(pkef_fast.kernels.__file__); print(pkef_fast.cli.__file__)"
    )
    printed = subprocess.run(
        [sys.executable, "-I", "-c", code, site], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert printed == [
        str(site / "pkef_fast" / "kernels" / "__init__.py"),
        str(site / "pkef_fast" / "cli" / "__init__.py"),
    ]
    assert (site / "pkef_fast" / "py.typed").exists()
    assert not (site / "kernels").exists()
    assert not (site / "cli").exists()


def test_every_operation_has_a_contract_a_test_and_a_benchmark():
    for operation in kernels.OPERATIONS:
        contract = importlib.import_module(f"pkef_fast.kernels.{operation}")
        assert contract.__doc__.startswith(f"{operation}: ")
        form = getattr(kernels.load("reference"), operation)
        for name in form.__all__:
            assert name in contract.__doc__, f"{operation}.{name} is not in the contract"
        assert (ROOT / "tests" / "kernels" / f"test_{operation}.py").exists()
        assert (ROOT / "bench" / f"test_bench_{operation}.py").exists()


@pytest.mark.parametrize(
    "name", ["errors", "evaluate.figures", "recommender", "pkef", "data.registry"]
)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"pkef_fast.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_readme_shows_commands_and_fields_that_exist():
    text = (ROOT / "README.md").read_text()
    pieces = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    code = "\n".join(block or inline for block, inline in pieces)
    commands = {name: main.get_command(None, name) for name in main.list_commands(None)}
    for name, command in re.findall(r"pkef-fast (\w+)( \w+)?", code):
        assert name in commands, name
        if name == "data":
            assert command.strip() in commands["data"].commands
    for option in re.findall(r"(?<=\s)--([a-z-]+)", text):
        known = {
            opt.removeprefix("--")
            for one in [*commands.values(), *commands["data"].commands.values()]
            for parameter in one.params
            for opt in parameter.opts
        }
        assert option in known | {"fixtures", "benchmark-only"}, option


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "model.npz").exists()


def test_the_version_is_one():
    assert f'version = "{pkef_fast.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_ruff_finds_nothing():
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *words, ROOT], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
