"""common.cuh against NumPy, and what a backend promises to launchers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cuda_emulator import EmulatorBackend, EmulatorError
from cuda_emulator.common import INSTANCES, SOURCE
from pkef_fast.kernels import cuda
from pkef_fast.kernels.cuda import Instance, Pointers
from pkef_fast.kernels.sample import reference as sample


@pytest.fixture
def launch(backend):
    """launch(name, grid, block, *arguments): NumPy arrays go to the device and come back."""

    def run(name, grid, block, *arguments, shared_mem=0):
        xp = backend.xp
        moved = [xp.asarray(one) if isinstance(one, np.ndarray) else one for one in arguments]
        backend.module(SOURCE, INSTANCES)(name)(grid, block, tuple(moved), shared_mem=shared_mem)
        for host, device in zip(arguments, moved, strict=True):
            if isinstance(host, np.ndarray) and host is not device:
                host[...] = backend.to_host(device)

    return run


def test_philox_gives_the_references_words(launch):
    counters = np.random.default_rng(0).integers(0, 2**32, (1000, 4), dtype=np.uint32)
    words, key = np.empty_like(counters), np.array([0xFFFFFFFF, 12345], np.uint32)
    launch("random_words", (8,), (128,), counters, words, *key, np.int32(1000))
    np.testing.assert_array_equal(words, sample.philox4x32(counters, key))


def all_halves_and_between():
    """Every half, the floats next to it, and those half-way to the next: each way of rounding."""
    halves = np.arange(0x7C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (halves[:-1] + halves[1:]) / 2
    points = np.concatenate([halves[:-1], between[:-1], [65519.99, 65520, 65536, 3e38, np.inf]])
    points = points.astype(np.float32)
    around = np.concatenate([points, np.nextafter(points, 0), np.nextafter(points, np.inf)])
    around = around.astype(np.float32)
    # denormal floats are flushed to zero on a GPU (-ftz): far below the smallest half anyway
    around = around[(around == 0) | (around >= np.finfo(np.float32).tiny)]
    return np.concatenate([around, -around])


def test_float_to_half_and_bfloat16_round_as_they_should(launch):
    x = all_halves_and_between()
    half, bf16 = np.empty(len(x), np.uint16), np.empty(len(x), np.uint16)
    launch("narrow", (cuda.ceil_div(len(x), 256),), (256,), x, half, bf16, np.int32(len(x)))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(half, x.astype(np.float16).view(np.uint16))
    # the nearest bfloat16: no neighbour is nearer, and of two as near the even one
    exact = x.astype(np.float64)
    finite = np.abs(exact) < 3.3e38
    got = (bf16.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    for step in (-1, 1):
        other = ((bf16.astype(np.int64) + step) & 0xFFFF).astype(np.uint32) << 16
        with np.errstate(invalid="ignore"):  # a neighbour may be a NaN
            other = other.view(np.float32).astype(np.float64)
            error, others = np.abs(got - exact)[finite], np.abs(other - exact)[finite]
        tie = error == others
        assert np.all(np.isnan(others) | (error <= others))
        assert np.all(bf16[finite][tie] % 2 == 0)
    assert set(bf16[np.isinf(x)]) == {0x7F80, 0xFF80}


def test_not_a_number_stays_one(launch):
    bits = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0x7FC00000], np.uint32)
    half, bf16 = np.empty(4, np.uint16), np.empty(4, np.uint16)
    launch("narrow", (1,), (256,), bits.view(np.float32), half, bf16, np.int32(4))
    assert np.isnan(half.view(np.float16)).all()
    assert np.isnan((bf16.astype(np.uint32) << 16).view(np.float32)).all()


def test_every_half_and_bfloat16_is_widened_exactly(launch):
    bits = np.arange(2**16, dtype=np.uint16)
    half, bf16 = np.empty(2**16, np.float32), np.empty(2**16, np.float32)
    launch("widen", (256,), (256,), bits, half, bf16, np.int32(2**16))
    np.testing.assert_array_equal(half, bits.view(np.float16).astype(np.float32))
    wanted = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(bf16, wanted)


@pytest.mark.parametrize("lanes", [32, 8])
@pytest.mark.parametrize(("c_type", "dtype"), [("float", np.float32), ("int", np.int32)])
def test_sums_and_extremes_over_lanes(launch, c_type, dtype, lanes):
    x = np.random.default_rng(1).integers(-1000, 1000, 128).astype(dtype)
    out = [np.empty_like(x) for _ in range(3)]
    launch(f"over_lanes<{c_type}, {lanes}>", (2,), (64,), x, *out)
    groups = x.reshape(-1, lanes)
    for got, wanted in zip(out, (groups.sum(1), groups.min(1), groups.max(1)), strict=True):
        np.testing.assert_array_equal(got, np.repeat(wanted, lanes))


@pytest.mark.parametrize(
    ("c_type", "threads", "dtype"),
    [("float", 96, np.float32), ("double", 256, np.float64), ("unsigned int", 32, np.uint32)],
)
def test_sums_over_a_block(launch, c_type, threads, dtype):
    x = np.random.default_rng(2).integers(0, 1000, 3 * threads).astype(dtype)
    total, scan, last = np.empty_like(x), np.empty_like(x), np.empty(3, dtype)
    launch(f"over_block<{c_type}, {threads}>", (3,), (threads,), x, total, scan, last)
    blocks = x.reshape(3, threads)
    np.testing.assert_array_equal(last, blocks.sum(1))
    np.testing.assert_array_equal(total, np.repeat(blocks.sum(1), threads))
    np.testing.assert_array_equal(scan, blocks.cumsum(1).ravel())


@pytest.mark.parametrize("n", [0, 1, 64, 1000])
def test_a_sum_of_numbers_in_memory(launch, n):
    x = np.random.default_rng(2).integers(0, 1000, n).astype(np.float64)
    found = np.empty(128)
    launch("over_numbers", (2,), (64,), x, np.int32(n), found)
    np.testing.assert_array_equal(found, np.full(128, x.sum()))


@pytest.mark.parametrize(("rows", "columns", "pieces"), [(0, 5, 1), (3, 33, 5), (700, 70, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_column_sums_of_pieces_of_rows(backend, dtype, rows, columns, pieces):
    class Form(cuda.Launchers):
        source, instances = SOURCE, INSTANCES

    xp = backend.xp
    x = np.random.default_rng(3).integers(0, 1000, (rows, columns)).astype(dtype)
    found = cuda.column_sums(
        Form(backend), xp.asarray(x), xp.empty((pieces, columns), dtype), 256, pieces
    )
    ends = [rows * piece // pieces for piece in range(pieces + 1)]
    wanted = [x[start:end].sum(axis=0) for start, end in pairwise(ends)]
    np.testing.assert_array_equal(backend.to_host(found), wanted)


def test_tables_by_value(backend):
    xp, rng = backend.xp, np.random.default_rng(3)
    tables = [xp.asarray(rng.integers(0, 9, 20).astype(np.float32)) for _ in range(5)]
    out = xp.empty(20, np.float32)
    kernel = backend.module(SOURCE, INSTANCES)("sum_tables<float>")
    kernel((1,), (64,), (Pointers(tables), out, np.int32(5), np.int32(20)))
    np.testing.assert_array_equal(backend.to_host(out), backend.to_host(sum(tables)))


@pytest.mark.parametrize("count", [0, 17])
def test_too_many_tables_are_refused(count):
    with pytest.raises(ValueError, match=f"not {count}"):
        Pointers([np.zeros(1)] * count)


def test_tables_of_two_types_are_refused():
    with pytest.raises(TypeError, match="one type"):
        Pointers([np.zeros(1), np.zeros(1, np.float32)])


def test_arrays_that_share_memory_share_it_on_the_device(backend):
    both = backend.xp.asarray(np.arange(16, dtype=np.float32))
    kernel = backend.module(SOURCE, INSTANCES)("add_one")
    kernel((1,), (32,), (both[:8], both[8:], np.int32(8)))  # neighbours
    wanted = np.arange(16, dtype=np.float32)
    wanted[:8] += wanted[8:] + 1
    np.testing.assert_array_equal(backend.to_host(both), wanted)
    kernel((1,), (32,), (both, both, np.int32(16)))  # one array twice
    np.testing.assert_array_equal(backend.to_host(both), 2 * wanted + 1)


def test_dynamic_shared_memory_is_that_of_the_launch(launch):
    out = np.empty(64, np.float32)
    launch("fill_shared", (1,), (64,), out, np.int32(64), shared_mem=256)
    np.testing.assert_array_equal(out, np.arange(64)[::-1])


def test_votes(launch):
    x = np.random.default_rng(4).integers(0, 5, 64).astype(np.int32)
    x[40] = 5
    ballot, match, counts = np.empty(64, np.uint32), np.empty(64, np.uint32), np.empty(64, np.int32)
    launch("votes", (1,), (64,), x, ballot, match, counts)
    for warp in (slice(0, 32), slice(32, 64)):
        lanes, bit = x[warp], 1 << np.arange(32, dtype=np.uint64)
        assert set(ballot[warp]) == {bit[lanes > 2].sum()}
        np.testing.assert_array_equal(match[warp], [bit[lanes == one].sum() for one in lanes])
        wanted = 1000 * (x > 2).sum() + 100 * (5 in lanes) + 10
        assert set(counts[warp]) == {wanted}


def test_bits(launch):
    x = np.array([0, 1, 0x80000000, 0xFFFFFFFF, 0x00F0A000], np.uint32)
    out = np.empty((5, 6), np.int32)
    launch("bit_counts", (1,), (64,), x, out, np.int32(5))
    for word, row in zip(map(int, x), out.view(np.uint32).tolist(), strict=True):
        text = f"{word:032b}"
        assert row[0] == text.count("1")
        assert row[1] == (text.index("1") if word else 32)
        assert row[2] == (32 - text.rindex("1") if word else 0)
        assert row[3] == int(text[::-1], 2)
        octets = [*word.to_bytes(4, "little"), 1, 2, 3, 4]
        assert row[4] == int.from_bytes([octets[i] for i in (6, 3, 0, 5)], "little")
        assert row[5] == ((0x80000001 << 32 | word) << 8 >> 32) & 0xFFFFFFFF


def test_integer_atomics_lose_nothing(launch):
    sums, low, high = (
        np.zeros(3, np.int32),
        np.full(1, 2**32 - 1, np.uint32),
        np.zeros(1, np.uint64),
    )
    launch("integer_atomics", (5,), (64,), sums, low, high)
    np.testing.assert_array_equal(sums, [np.arange(i, 320, 3).sum() for i in range(3)])
    assert (low[0], high[0]) == (100, (1 << 40) + 319)


def test_an_empty_grid_launches_nothing(launch):
    x = np.zeros(4, np.float32)
    launch("add_one", (0,), (32,), x, x, np.int32(4))
    np.testing.assert_array_equal(x, 0)


def test_a_capture_records_and_a_replay_runs(backend):
    x = backend.xp.zeros(4, np.float32)
    kernel = backend.module(SOURCE, INSTANCES)("add_one")

    def step():
        kernel((1,), (32,), (x, x, np.int32(4)))
        kernel((1,), (32,), (x, x, np.int32(4)))

    replay = backend.capture(step)
    np.testing.assert_array_equal(backend.to_host(x), 0)
    for wanted in (3, 15):
        replay()
        np.testing.assert_array_equal(backend.to_host(x), wanted)


@pytest.mark.emulator
def test_a_capture_refuses_what_a_graph_cannot_hold():
    backend = EmulatorBackend()
    for what, sentence in [
        (lambda: backend.module(SOURCE, INSTANCES), "compiled inside of a capture"),
        (lambda: backend.to_host(np.zeros(1)), "a copy to the host"),
        (backend.synchronize, "a synchronisation"),
        (lambda: backend.capture(int), "a capture inside"),
    ]:
        with pytest.raises(EmulatorError, match=sentence):
            backend.capture(what)


@pytest.mark.emulator
def test_two_sources_may_have_kernels_of_one_name(tmp_path):
    backend, seen = EmulatorBackend(), []
    for value in (1, 2):
        source = tmp_path / f"source_{value}.cu"
        text = "template <int N> __global__ void put(int* out) { out[N] = %d; }\n"
        source.write_text(text % value, encoding="utf-8")
        out = np.zeros(1, np.int32)
        backend.module(source, (Instance("put<0>", 1),))("put<0>")((1,), (1,), (out,))
        seen.append(out[0])
    assert seen == [1, 2]


@pytest.mark.emulator
def test_new_memory_of_the_emulator_is_poisoned():
    xp = EmulatorBackend().xp
    assert np.isnan(xp.empty((2, 3), np.float32)).all()
    assert np.isnan(xp.empty_like(np.zeros(3))).all()
    assert (xp.empty(3, np.int32) == -1).all()
    assert xp.empty((), np.float64).shape == ()
    assert xp.arange is np.arange


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("#include <cub/cub.cuh>\n", r"bad.cu:1: <cub/cub.cuh> is no file of this package"),
        ('\n#include "missing.cuh"\n', "missing.cuh"),
    ],
)
def test_a_source_includes_only_files_of_the_package(tmp_path, text, sentence):
    source = tmp_path / "bad.cu"
    source.write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        cuda.source_text(source)


def test_common_code_is_pasted_once_and_lines_keep_their_numbers(tmp_path):
    (tmp_path / "a.cuh").write_text("int a;\n", encoding="utf-8")
    (tmp_path / "b.cuh").write_text('#include "a.cuh"\nint b;\n', encoding="utf-8")
    source = tmp_path / "c.cu"
    source.write_text('#include "a.cuh"\n#include "b.cuh"\nint c;\n', encoding="utf-8")
    lines = cuda.source_text(source).splitlines()
    assert lines.count("int a;") == 1
    assert lines[lines.index("int c;") - 1] == '#line 3 "c.cu"'
