"""The cache of compiled CPU kernels: where it is, that it is used again, and never a stale one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pkef_fast.kernels import compiled

# Calls a kernel of the module that is named, and counts what was compiled, and what was found.
CALL = """
import importlib, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
module = importlib.import_module(sys.argv[1])
assert module.bpr(np.zeros(4, np.float32))[0] > 0.69
compiled = [f for f in vars(module).values() if hasattr(f, "stats") and f.signatures]
print(len(compiled), sum(sum(f.stats.cache_hits.values()) for f in compiled))
"""
# Compiles faster than any kernel of this package.
SMALL = """
from pkef_fast.kernels.jit import serial

@serial()
def bpr(x):
    return 1 + x
"""


@pytest.fixture
def elsewhere(tmp_path):
    """An environment whose cache folder and temporary folder are empty and of its own."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "small.py").write_text(SMALL, encoding="utf-8")
    environment = {name: text for name, text in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return environment | {
        "XDG_CACHE_HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
    }


def run(environment, *words):
    command = [sys.executable, *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def call(environment, module="small"):
    return run(environment, "-c", CALL, module, str(Path(environment["TMPDIR"]).parent))


def compiles_and_hits(environment, module="small"):
    """(compiled or loaded, loaded) kernels of a process that calls one."""
    return tuple(map(int, call(environment, module).stdout.split()))


def files(folder, ending=".nbc"):
    return sorted(path.relative_to(folder) for path in folder.rglob(f"*{ending}"))


def doctor(environment, *words):
    done = run(environment, "-m", "pkef_fast.cli", "doctor", "--json", *words)
    return json.loads(done.stdout.splitlines()[-1])


def test_kernels_are_kept_in_the_users_cache_and_nothing_beside_the_sources(elsewhere, tmp_path):
    beside = files(compiled.SOURCES)  # what an older version left in this clone
    count, hits = compiles_and_hits(elsewhere, "pkef_fast.kernels.bpr.cpu")
    assert (count > 0, hits) == (True, 0)  # all compiled
    (folder,) = (tmp_path / "home" / "pkef-fast").iterdir()
    version = f"-py{sys.version_info[0]}.{sys.version_info[1]}"
    assert folder.name.startswith("pkef-fast-") and version in folder.name
    kept = files(folder)
    assert len(kept) >= count
    again, hits = compiles_and_hits(elsewhere, "pkef_fast.kernels.bpr.cpu")
    assert count >= again == hits > 0  # none compiled; inlined helpers are not even asked for
    assert files(folder) == kept
    assert files(compiled.SOURCES) == beside


def test_numba_cache_dir_rules_and_doctor_shows_and_clears(elsewhere, tmp_path):
    chosen = tmp_path / "chosen"
    other = chosen / "kernels_of_somebody_else"
    other.mkdir(parents=True)
    elsewhere["NUMBA_CACHE_DIR"] = str(chosen)
    compiles_and_hits(elsewhere)
    assert not (tmp_path / "home").exists()
    (folder,) = set(chosen.iterdir()) - {other}
    text = f"{folder} (NUMBA_CACHE_DIR), {len(files(folder))} compiled kernels"
    assert doctor(elsewhere)["kernel cache"].startswith(text)
    assert doctor(elsewhere, "--clear-cache")["removed"].endswith("MiB of compiled kernels")
    assert files(chosen) == []
    assert other.is_dir()


def test_kernels_that_cannot_be_kept_go_to_a_temporary_folder_with_one_note(elsewhere, tmp_path):
    Path(elsewhere["XDG_CACHE_HOME"]).write_text("a file is no folder", encoding="utf-8")
    done = call(elsewhere)
    (note,) = done.stderr.splitlines()
    place = tmp_path / "tmp" / f"pkef-fast-{os.getuid()}"
    assert str(place) in note and elsewhere["XDG_CACHE_HOME"] in note
    assert place.stat().st_mode & 0o077 == 0
    again, hits = compiles_and_hits(elsewhere)
    assert again == hits > 0


def test_without_any_folder_kernels_are_compiled_all_the_same(elsewhere, tmp_path):
    Path(elsewhere["XDG_CACHE_HOME"]).write_text("a file is no folder", encoding="utf-8")
    place = tmp_path / "tmp" / f"pkef-fast-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)  # anybody could put code there
    done = call(elsewhere)
    assert "not kept" in done.stderr
    assert done.stdout.split()[1] == "0"
    assert list(place.iterdir()) == []
    assert doctor(elsewhere)["kernel cache"].startswith("none: ")
    assert doctor(elsewhere, "--clear-cache")["removed"].startswith("0")


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_a_damaged_file_costs_compiling_again(elsewhere, tmp_path, ending):
    count, _ = compiles_and_hits(elsewhere)
    for path in files(tmp_path / "home", ending):
        (tmp_path / "home" / path).write_bytes(b"damaged")
    assert compiles_and_hits(elsewhere)[0] > 0
    again, hits = compiles_and_hits(elsewhere)
    assert count >= again == hits > 0


def test_an_edited_helper_gives_another_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "SOURCES", tmp_path)
    (tmp_path / "bpr").mkdir()
    (tmp_path / "bpr" / "cpu.py").write_text("from ..helper import f", encoding="utf-8")
    (tmp_path / "bpr" / "cuda.py").write_text("", encoding="utf-8")
    helper = tmp_path / "helper.py"
    helper.write_text("def f(): return 1", encoding="utf-8")
    before = compiled._key()
    assert compiled._key() == before
    (tmp_path / "bpr" / "cuda.py").write_text("no CPU kernel holds this", encoding="utf-8")
    assert compiled._key() == before
    helper.write_text("def f(): return 2", encoding="utf-8")
    assert compiled._key() != before


def test_another_processor_gives_another_folder(monkeypatch):
    before = compiled._key()
    monkeypatch.setattr(compiled.numba.config, "CPU_FEATURES", "+a-feature")
    features = compiled._key()
    monkeypatch.setattr(compiled.numba.config, "CPU_NAME", "generic")
    assert len({before, features, compiled._key()}) == 3


def test_folders_not_used_for_long_go_when_a_new_one_is_made(tmp_path):
    stranger = tmp_path / "pkef-fast-notes"
    old = [tmp_path / f"pkef-fast-0.0.{n}-py3.9-numba0.1-0" for n in range(12)]
    for n, folder in enumerate([stranger, *old]):
        folder.mkdir()
        (folder / "x.nbc").write_bytes(b"")
        os.utime(folder, (n, n))
    mine = compiled._usable(tmp_path)
    kept = {stranger, mine, *old[-(compiled.FOLDERS_KEPT - 1) :]}
    assert set(tmp_path.iterdir()) == kept
    os.utime(mine, (0, 0))
    assert compiled._usable(tmp_path) == mine
    assert mine.stat().st_mtime > 0  # used now
