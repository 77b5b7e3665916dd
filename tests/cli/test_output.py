"""Progress as a user sees it: compiling is announced where it takes time, and only there."""

from __future__ import annotations

import sys
import time

import pytest

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


def test_every_stage_of_the_warm_up_is_reported():
    seen = []
    config = PkefConfig(d=4, layers=(1, 1), coefficients=(0.5, 0.5))
    warm_up(Pkef, config, 2, device("reference"), lambda *one: seen.append(one))
    assert seen == [(name, i, len(STAGES)) for i, name in enumerate(STAGES, 1)]
