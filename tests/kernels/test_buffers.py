"""memory: where recycled arrays lie, and that no two living ones share a buffer."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pkef_fast.kernels import buffers

ROWS = buffers.SMALLEST // (16 * 4)  # of 16 float32: just large enough to be recycled


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("shape", [0, 1, (3, 5), (ROWS, 16), (2, ROWS + 7, 16)])
def test_an_array_has_what_was_asked_for(shape, dtype):
    array = buffers.empty(shape, dtype)
    assert array.shape == ((shape,) if isinstance(shape, int) else shape)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[...] = 3  # the whole of it can be written
    assert (array == 3).all()


def test_large_arrays_start_at_a_cache_line():
    for rows in range(ROWS, ROWS + 20):
        assert address(buffers.empty((rows, 16), np.float32)) % buffers.LINE == 0


def test_living_arrays_and_views_keep_their_buffer_and_dead_ones_give_it_back():
    first = buffers.empty((ROWS, 16), np.float32)
    place = address(first)
    view = first[3:, 2:].T
    view[...] = 5
    del first
    gc.collect()
    others = [buffers.empty((ROWS, 16), np.float32) for _ in range(8)]
    assert place not in {address(one) for one in others}
    for one in others:
        one[...] = 7
    assert (view == 5).all()
    assert len({address(one) for one in others}) == len(others)
    del view
    gc.collect()
    assert address(buffers.empty((ROWS, 16), np.float32)) == place


def test_sizes_that_differ_a_little_share_buffers():
    first = buffers.empty((17 * ROWS, 16), np.float32)
    place = address(first)
    del first
    assert address(buffers.empty((17 * ROWS - 5, 16), np.float32)) == place
