"""Calls of the command line, and what tests ask of their results."""

from __future__ import annotations

import json

from click.testing import CliRunner

from pkef_fast.cli import main

QUICK = ("--set", "d=8", "--epochs", "2")


FEW = ("--set", "epochs=2", "--set", "twin_epochs=1", "--set", "draws=1")


def call(*args, code=0):
    """Run a command in this process; returns what it printed."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def last_json(result):
    return json.loads(result.stdout.strip().splitlines()[-1])


def check_refusal(result, words):
    """One sentence on stderr, nothing on stdout."""
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in lines[-1], lines[-1]
    assert result.stdout == ""
