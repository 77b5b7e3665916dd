"""Arrays and facts in one file, and no damage that goes unseen."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.errors import InputError
from pkef_fast.store import checkpoint

FACTS = {"epoch": 3, "name": "ü", "nested": {"a": [1, 2.5, None]}}
ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "empty": np.empty((0, 4), np.int64),
    "scalar": np.array(7),
}


def written(folder):
    path = folder / "c.npz"
    checkpoint.write(path, "checkpoint", FACTS, ARRAYS)
    return path


def test_what_is_written_is_read(tmp_path):
    facts, arrays = checkpoint.read(written(tmp_path), "checkpoint")
    assert facts == FACTS
    assert set(arrays) == set(ARRAYS)
    for name, one in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], one, strict=True)


def test_equal_content_gives_equal_bytes(tmp_path):
    (tmp_path / "other").mkdir()
    assert written(tmp_path).read_bytes() == written(tmp_path / "other").read_bytes()


def test_another_kind_or_format_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path)
    with pytest.raises(InputError, match="holds a checkpoint of format 1; wanted a model of form"):
        checkpoint.read(path, "model")
    monkeypatch.setattr(checkpoint, "FORMATS", (2, 3))
    with pytest.raises(InputError, match="of format 1; wanted a checkpoint of format 2 or 3"):
        checkpoint.read(path, "checkpoint")


def test_damage_is_refused(tmp_path):
    """Each byte of the file in turn: its content is the same, or it is refused."""
    path = written(tmp_path)
    content = path.read_bytes()
    refused = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            facts, arrays = checkpoint.read(path, "checkpoint")
        except InputError as error:
            assert "damaged or cut short" in str(error)
            refused += 1
        else:
            assert (facts, set(arrays)) == (FACTS, set(ARRAYS))
            assert all(np.array_equal(arrays[name], one) for name, one in ARRAYS.items())
    assert refused > len(content) / 2
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="damaged or cut short"):
            checkpoint.read(path, "checkpoint")


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="does not exist; wanted a model file of pkef-fast"):
        checkpoint.read(tmp_path / "none.npz", "model")
    path = tmp_path / "other.npz"
    for arrays in (
        {"a": np.arange(3)},  # no facts
        {"facts": np.frombuffer(b"no JSON", np.uint8)},
        {"facts": np.frombuffer(b"[1]", np.uint8)},
        {"facts": np.frombuffer(b'{"format": 1}', np.uint8)},
        {"facts": np.array([None], object)},  # a pickle in it is not run
    ):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match="cannot be read as a model"):
            checkpoint.read(path, "model")
