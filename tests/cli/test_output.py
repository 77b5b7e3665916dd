"""Progress as a user sees it: compiling is announced where it takes time, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from commands import call

from pkef_fast.cli.output import ProgressReport
from pkef_fast.device import device
from pkef_fast.models.pkef import Pkef, PkefConfig
from pkef_fast.train.warm_up import STAGES, warm_up

output = sys.modules["pkef_fast.cli.output"]


@pytest.fixture
def report(monkeypatch):
    monkeypatch.setattr(output, "COMPILE_NOTICE_SECONDS", 0.05)
    made = ProgressReport()
    yield made
    made.close()


def test_a_long_stage_is_announced_while_it_lasts(report, capsys):
    report.compiling("adjoints", 3, 5)
    assert capsys.readouterr().err == ""
    deadline = time.monotonic() + 10
    while not (text := capsys.readouterr().err) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert text == "compiling kernels for adjoints (3/5), first run only …\n"


def test_short_stages_are_not(report, capsys):
    for number in range(1, 6):
        report.compiling("a stage", number, 5)
    report.close()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def foreign_run(tmp_path_factory):
    """A run on ids that western encodings have no letters for."""
    folder = tmp_path_factory.mktemp("foreign")
    rows = [f"{u},商品{(7 * u + n) % 20},{b}" for u in range(9) for n in range(4) for b in BOTH]
    path = folder / "log.csv"
    path.write_text("\n".join(["user,item,behavior", *rows, ""]), encoding="utf-8")
    call("train", "--dataset", path, "--model", "graph-rank", "--out", folder / "run")
    return folder / "run"


BOTH = ("view", "buy")
WRITTEN, ESCAPED = "商品".encode(), b"\\u5546\\u54c1"
PLACES = {
    "cp1252": ({"PYTHONIOENCODING": "cp1252"}, ESCAPED),
    "latin-1": ({"PYTHONIOENCODING": "latin-1:strict"}, ESCAPED),
    "utf-8": ({"PYTHONIOENCODING": "utf-8"}, WRITTEN),
    "C": ({"LC_ALL": "C"}, WRITTEN),  # where Python takes UTF-8, and Click where Python does not
    "ascii": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, WRITTEN),
}


@pytest.mark.parametrize("place", PLACES)
def test_ids_are_shown_whatever_the_terminal_can_write(foreign_run, place):
    env, wanted = PLACES[place]
    others = {
        name: one for name, one in os.environ.items() if not name.startswith(("PYTHON", "LC"))
    }
    words = [sys.executable, "-m", "pkef_fast.cli", "recommend", str(foreign_run), "-k", "1"]

    def shown(user, code):
        found = subprocess.run([*words, "--user", user], env=others | env, capture_output=True)
        assert found.returncode == code, found.stderr
        assert b"Traceback" not in found.stderr
        return found.stdout + found.stderr

    assert wanted in shown("7", 0)
    assert b"is unknown; data set 'log' has users 0 to 8" in shown("商品", 2)
    # Bytes that are no text, as a shell may hand them over.
    assert b"is unknown" in shown(os.fsdecode(b"\xff"), 2)


def test_every_stage_of_the_warm_up_is_reported():
    seen = []
    config = PkefConfig(d=4, layers=(1, 1), coefficients=(0.5, 0.5))
    warm_up(Pkef, config, 2, device("reference"), lambda *one: seen.append(one))
    assert seen == [(name, i, len(STAGES)) for i, name in enumerate(STAGES, 1)]
