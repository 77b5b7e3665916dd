"""`doctor`, and devices that are not there."""

from __future__ import annotations

from commands import call


def test_doctor():
    text = call("doctor").stdout
    assert "numba" in text
    assert "device cpu" in text


def test_a_gpu_that_is_not_there_is_one_sentence():
    for device in ("0", "cuda:0"):
        result = call("train", "--device", device, code=2)
        assert result.stderr.startswith("Error: device 'cuda:0' cannot be used: ")
        assert "use --device cpu" in result.stderr
        assert result.stderr.count("\n") == 1
