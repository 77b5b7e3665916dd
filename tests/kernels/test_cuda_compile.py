"""The compile gate: every source for every architecture by both compilers, within its bounds."""

from __future__ import annotations

from pathlib import Path

import background
import pytest

import nvrtc
from cuda_emulator import common
from pkef_fast.kernels.cuda import Instance, launchers

pytestmark = pytest.mark.compile

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "nvrtc"
SPILLING = Path(__file__).with_name("spilling.cu")
SOURCES = {name: (module.SOURCE, module.INSTANCES) for name, module in launchers().items()}
SOURCES["common"] = (common.SOURCE, common.INSTANCES)
SPILLS, ROOMY = Instance("many_sums<true>", 1024), Instance("many_sums<false>", 128, registers=200)


def usages():
    """What every instance takes; all sources at once, so that the processors are never idle."""
    return nvrtc.usages(SOURCES.values(), CACHE)


@pytest.mark.late(work=usages)
@pytest.mark.parametrize("operation", SOURCES)
def test_a_source_compiles_everywhere_and_keeps_its_bounds(operation):
    source, instances = SOURCES[operation]
    by_name = {one.name: one for one in instances}
    rows = background.result(usages)[source]
    assert {row.name for row in rows} == set(by_name)
    assert {(row.architecture, int(row.cuda.split(".")[0])) for row in rows} == {
        (architecture, major)
        for architecture in nvrtc.ARCHITECTURES
        for major in nvrtc.WHEELS
        if (major, architecture) not in nvrtc.NOT_KNOWN
    }
    assert [problem for row in rows for problem in row.problems(by_name[row.name])] == []


def test_each_compiler_knows_each_architecture_or_the_table_says_why_not():
    for compiler in nvrtc.compilers():
        for architecture in nvrtc.ARCHITECTURES:
            listed = (compiler.major, architecture) in nvrtc.NOT_KNOWN
            assert (architecture in compiler.architectures) != listed


def test_a_kernel_that_spills_is_caught():
    rows = nvrtc.usages([(SPILLING, (SPILLS, ROOMY))], CACHE)[SPILLING]
    for row in rows:
        if row.name == SPILLS.name:
            assert row.max_threads == 1024
            assert row.spill_stores > 0
            assert any("spills" in problem for problem in row.problems(SPILLS))
        else:
            assert row.problems(ROOMY) == []
            tight = Instance(ROOMY.name, 128, registers=row.registers - 1)
            assert any("registers" in problem for problem in row.problems(tight))
            large = Instance(ROOMY.name, 129, registers=255)
            assert any("__launch_bounds__ allow 128" in p for p in row.problems(large))


def test_too_much_shared_memory_is_caught():
    instance = Instance("too_much_shared", 256, shared=16 * 1024 + 16)
    rows = nvrtc.usages([(SPILLING, (instance,))], CACHE)[SPILLING]
    assert {row.shared for row in rows} == {48 * 1024}
    assert all("65552 bytes of shared memory" in row.problems(instance)[0] for row in rows)


def test_a_source_that_does_not_compile_is_named_with_its_line(tmp_path):
    source = tmp_path / "broken.cu"
    source.write_text("__global__ void f(float* x) {\n    x[0] = y;\n}\n", encoding="utf-8")
    with pytest.raises(nvrtc.CompileError, match=r'broken.cu\(2\): error.*"y" is undefined'):
        nvrtc.usages([(source, (Instance("f", 32),))])


# Worked by hand from the limits of one multiprocessor.
@pytest.mark.parametrize(
    ("architecture", "threads", "registers", "shared", "blocks"),
    [
        (90, 256, 32, 0, 8),  # 64 warps
        (90, 256, 40, 0, 6),  # 1280 registers a warp: 12 warps in each of four parts
        (90, 32, 16, 0, 32),  # no more blocks than 32
        (86, 32, 16, 0, 16),
        (86, 128, 32, 0, 12),  # 48 warps
        (75, 128, 32, 16 * 1024, 4),  # 64 KiB
        (80, 128, 32, 40 * 1024, 4),  # 164 KiB, 41 a block with the system's share
        (90, 1024, 65, 0, 0),  # 2304 registers a warp: 28 warps
    ],
)
def test_occupancy(architecture, threads, registers, shared, blocks):
    row = nvrtc.Usage("f", architecture, "12.0", registers, 0, 0, 0, shared, 0)
    instance = Instance("f", threads)
    assert row.blocks(instance) == blocks
    whole = blocks * threads / 32 / nvrtc.LIMITS[architecture].warps
    assert row.occupancy(instance) == whole
    assert bool(row.problems(instance)) == (blocks == 0)
