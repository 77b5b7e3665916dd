"""The package as others get it: the wheel, the documentation's claims, the examples."""

from __future__ import annotations

import doctest
import importlib
import os
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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package installed in it from a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # What a build of an earlier version left there.
    old = source / "build" / "lib" / "pkef_fast" / "of_old.py"
    old.parent.mkdir(parents=True)
    old.touch()
    files = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
    for name in (*files, "pkef_fast", "kernels", "cli"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", site, wheel], check=True)
    return site


def installed(site, code, **environment):
    """What code prints that meets the package of this folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{code}", site],
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_the_wheel_holds_the_rooms_under_their_names(site):
    code = (
        "import pkef_fast.kernels, pkef_fast.cli\n"
        "pkef_fast.kernels.load('reference')\n"
        "print(pkef_fast.kernels.__file__); print(pkef_fast.cli.__file__)"
    )
    assert installed(site, code) == [
        str(site / "pkef_fast" / "kernels" / "__init__.py"),
        str(site / "pkef_fast" / "cli" / "__init__.py"),
    ]
    assert (site / "pkef_fast" / "py.typed").exists()
    assert not (site / "pkef_fast" / "of_old.py").exists()
    assert not (site / "kernels").exists()
    assert not (site / "cli").exists()


def test_the_wheel_lists_every_room():
    listed = re.findall(
        r'^    "(pkef_fast[.\w]*)",$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M
    )
    top = {"pkef_fast": "pkef_fast", "kernels": "pkef_fast.kernels", "cli": "pkef_fast.cli"}
    found = {
        ".".join([name, *path.parent.relative_to(ROOT / folder).parts])
        for folder, name in top.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(listed) == found


def test_kernels_of_an_installed_package_leave_nothing_beside_it(site, tmp_path):
    # pip removes what it has installed, and the bytecode of that. Anything more would stay, and its
    # folder would hide a later editable install.
    def files():
        return {path for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    before = files()
    code = (
        "import numpy as np\n"
        "from pkef_fast.kernels.bpr import cpu\n"
        "print(cpu.__file__, cpu.bpr(np.zeros(4, np.float32))[0] > 0.69)"
    )
    for environment in ({"XDG_CACHE_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": "/dev/null"}):
        environment["NUMBA_CACHE_DIR"] = ""
        printed = installed(site, code, TMPDIR=str(tmp_path), **environment)
        assert printed == [f"{site / 'pkef_fast' / 'kernels' / 'bpr' / 'cpu.py'} True"]
        assert files() == before
    assert list(tmp_path.rglob("*.nbc"))


def test_every_operation_has_a_contract_a_test_and_a_benchmark():
    for operation in (*kernels.OPERATIONS, *kernels.HOST_OPERATIONS):
        contract = importlib.import_module(f"pkef_fast.kernels.{operation}")
        assert contract.__doc__.startswith(f"{operation}: ")
        form = getattr(kernels.load("reference"), operation)
        for name in form.__all__:
            assert name in contract.__doc__, f"{operation}.{name} is not in the contract"
        assert (ROOT / "tests" / "kernels" / f"test_{operation}.py").exists()
        assert (ROOT / "bench" / f"test_bench_{operation}.py").exists()


@pytest.mark.parametrize(
    "name", ["errors", "evaluate.figures", "recommender", "pkef", "data.registry", "report.charts"]
)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"pkef_fast.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_readme_shows_commands_and_fields_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
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
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "model.npz").exists()


def test_the_version_is_one():
    assert f'version = "{pkef_fast.__version__}"' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )


def test_ruff_finds_nothing():
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *words, ROOT], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_python_in_another_clone_takes_that_clones_rooms(tmp_path):
    """Whatever is installed: kernels of one clone below models of another would be a mixture."""
    for name in ("pkef_fast", "kernels", "cli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    source = Path(pkef_fast.__file__).read_text(encoding="utf-8")
    (tmp_path / "pkef_fast" / "__init__.py").write_text(source, encoding="utf-8")
    code = "import pkef_fast.kernels as k, pkef_fast.cli as c; print(k.__file__); print(c.__file__)"
    there = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=there, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        str(tmp_path / name / "__init__.py") for name in ("kernels", "cli")
    ]
