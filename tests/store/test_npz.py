"""Archives whose entries are whole by their check sums and still are no arrays."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.store import npz


def archive(path, content):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", content)
    return path


def an_array():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


WRONG = {
    "no array": (b"words", "'a' is no array"),
    "an open bracket": (an_array().replace(b"(3,)", b"((3,"), "the head of an array"),
    "no Python": (an_array().replace(b"(3,)", b"3 3 "), "."),
    "a vast array": (an_array().replace(b"(3,), }    ", b"(3333333333,)}"), "."),
    "objects": (an_array().replace(b"<i8", b"|O8"), "Object arrays cannot be loaded|."),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_entries_are_damage(tmp_path, name):
    content, sentence = WRONG[name]
    assert content != an_array()
    with pytest.raises(npz.Damaged, match=sentence):
        npz.read(archive(tmp_path / "x.npz", content))


@settings(deadline=None, max_examples=300)
@given(
    place=st.integers(0, 100),
    byte=st.one_of(st.integers(0, 255), st.sampled_from(list(b"()[]{}'0123456789OVSm<>|,\n\\"))),
)
def test_a_changed_byte_of_a_head_gives_arrays_or_damage(tmp_path_factory, place, byte):
    content = bytearray(an_array())
    content[place] = byte
    path = archive(tmp_path_factory.getbasetemp() / "head.npz", bytes(content))
    try:
        found = npz.read(path)
    except npz.Damaged:
        return
    assert all(isinstance(one, np.ndarray) for one in found.values())
