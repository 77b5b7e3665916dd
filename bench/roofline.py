"""What each CUDA kernel must at least move and compute, and the time that this bounds: *predicted*.

    python bench/roofline.py [--output bench/results/roofline.md]

Nothing here is measured and no GPU is needed. The real launchers run on a backend whose arrays have
shapes and no memory and whose kernels only note their arguments, so launches, grids and array sizes
are those of a real step. From each launch come

    dram    every array it is given, once (twice where it is read and written): what a cold L2 must
            fetch, gathered tables as far as they are touched
    l2      the same, but gathered rows once for every time they are read: what leaves the L1s, as
            if no row were ever found there
    flops   multiplications and additions of the formulas below, two for each fused one; two for
            each value moved where there is no formula

and the bound of a launch is the longest of flops/peak, l2/L2 bandwidth and dram/DRAM bandwidth; the
last counts for a launch whose arrays exceed the L2, with the share of gathered rows that cannot be
in it. Launches are reported beside the bound, not in it. Graphs are taken with even degrees, which
changes no byte but the balance between warps.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from pkef_fast.kernels import rank as rank_contract
from pkef_fast.kernels.cuda import Pointers, forms, source_text
from pkef_fast.kernels.propagate import Adjacency
from pkef_fast.store.files import write_text

ROOT = Path(__file__).parents[1]


# ---- a backend of shapes ------------------------------------------------------------------------


class Shapes(ModuleType):
    """NumPy, but arrays that launchers make have no memory of their own."""

    def __init__(self):
        super().__init__("shapes")

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def empty(shape, dtype=float):
        return shaped(shape, dtype)

    @staticmethod
    def empty_like(array, dtype=None):
        return shaped(array.shape, dtype or array.dtype)

    zeros, zeros_like = empty, empty_like

    @staticmethod
    def ascontiguousarray(array):
        return array


def shaped(shape, dtype=np.float32) -> np.ndarray:
    """An array of a shape that holds one value."""
    return np.broadcast_to(np.zeros((), dtype), shape)


@dataclass(frozen=True)
class Launch:
    """A launch: its operation and function, template arguments, and arguments by name.

    `share` is how much of its pair rows is there; the others read nothing.
    """

    operation: str
    name: str
    options: tuple[str, ...]
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    share: float = 1.0

    def __getattr__(self, name):
        return self.arguments[name]


class Recorder:
    """A backend that notes launches."""

    def __init__(self):
        self.xp = Shapes()
        self.launches: list[Launch] = []
        self.share = 1.0

    def module(self, source: Path, instances):
        by_name = {one.name: one for one in instances}

        def of(full_name: str):
            def launch(grid, block, args, shared_mem=0):
                by_name[full_name].check_launch(grid, block, shared_mem)
                if 0 not in grid:
                    self.launches.append(noted(source, full_name, grid, args, self.share))

            return launch

        return of

    @staticmethod
    def to_host(array):
        return array


@cache
def parameters(source: Path, function: str) -> tuple[str, ...]:
    """Names of the parameters of a `__global__` function, in order."""
    text = source_text(source)
    pattern = rf"__global__[^;{{]*?\b{function}\(([^{{]*)\)\s*\{{"
    declared = re.sub(r"<[^<>]*>", "", re.search(pattern, text)[1])
    return tuple(re.findall(r"(\w+)\s*(?:,|$)", declared))


def noted(source: Path, full_name: str, grid, args, share: float) -> Launch:
    """The launch of an instance with these arguments."""
    name, _, options = full_name.partition("<")
    names = parameters(source, name)
    if len(names) != len(args):
        raise ValueError(f"{full_name} has parameters {names}, but {len(args)} arguments.")
    options = tuple(one.strip() for one in options.rstrip(">").split(","))
    by_name = dict(zip(names, args, strict=True))
    return Launch(source.stem, name, options, tuple(grid), by_name, share)


# ---- what a launch moves and computes -----------------------------------------------------------


class Cost(NamedTuple):
    """Bytes and operations of one or more launches."""

    dram: float
    l2: float
    flops: float
    launches: int = 1

    def __add__(self, other):
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))


def _rows(launch) -> int:
    return len(launch.left)


def _pair_reads(values: int) -> Callable:
    """`values` values of either end of every pair that is there."""
    return lambda l, array: 2 * _rows(l) * l.share * values * array.itemsize


def _row_reads(*shape_of: str) -> Callable:
    """A row, of as many values as the product of these arguments, of either end of every pair."""
    return lambda l, array: (
        2
        * _rows(l)
        * l.share
        * np.prod([int(l.arguments[one]) for one in shape_of])
        * array.itemsize
    )


def _neighbours(launch, array) -> float:
    return len(launch.indices) * int(launch.d) * array.itemsize


def _tiles(launch, array) -> float:
    """Every tile of users stages the columns of all items, and the other way round."""
    if array is launch.users:
        return launch.grid[1] * int(launch.tiles) * array.nbytes
    return launch.grid[0] * array.nbytes


def _select_passes(launch, array) -> float:
    """One pass a digit of 8 bits, one to take the chosen."""
    return (array.itemsize + 1) * array.nbytes


# Arrays of which rows are gathered: (kernel, parameter) → bytes read.
GATHERED: dict[tuple[str, str], Callable] = {
    ("messages", "stored0"): _neighbours,
    ("messages", "stored1"): _neighbours,
    ("layer", "x_p"): _neighbours,
    ("layer", "x_z"): _neighbours,
    ("take_rows", "tables"): lambda l, array: int(l.rows) * int(l.d) * array.itemsize,
    ("pair_dots", "x"): _row_reads("d"),
    ("owner_dots", "x"): _row_reads("d"),
    ("owner_dots", "d_scores"): _pair_reads(1),
    ("side_pairs", "own"): _row_reads("d"),
    ("side_pairs", "c"): _row_reads("n_behaviors"),
    ("side_pairs", "logits"): _row_reads("n_behaviors"),
    ("side_pairs_adjoint", "c"): _row_reads("n_behaviors"),
    ("owner_side", "w"): _pair_reads(1),
    ("owner_side", "scalars"): _row_reads("n_behaviors"),
    ("owner_unique_side", "unique"): _row_reads("d"),
    ("owner_unique_side", "d_scores"): _pair_reads(1),
    ("interaction_pairs", "tables"): _row_reads("d"),
    ("owner_interaction", "tables"): _row_reads("d"),
    ("sweep", "users"): _tiles,
    ("sweep", "items"): _tiles,
    ("select_best", "scores"): _select_passes,
}
# Beside what their owners' own rows cost: these tables are both gathered and read row by row.
ALSO_IN_ORDER = {("owner_interaction", "tables")}
# Given, but read only for a self-loop.
FOR_SELF_LOOPS = {("messages", "x0"), ("messages", "x1")}
# Written where another parameter of the launch may read the same array.
WRITTEN = {("layer", "p_sum"), ("layer", "z_sum")}
# Read and written.
UPDATED = {
    "update": {"theta", "m", "v"},
    "relation_pieces": {"sums"},
    "settle": {"rank", "tied"},
}


def _pair_flops(per_value: int, per_slot: int = 0) -> Callable:
    def flops(launch):
        slots = int(launch.arguments.get("n_behaviors", 0))
        return _rows(launch) * launch.share * (per_value * int(launch.d) + per_slot * slots)

    return flops


def _sweep_flops(launch) -> float:
    """Products of two operations a feature; a slot of the gate takes some fifteen more."""
    kind, n_slots, depth = launch.options[1], int(launch.n_slots), int(launch.depth)
    products = 2 * n_slots if kind == "INTERACTION" else 1
    pairs = launch.users.shape[1] * launch.items.shape[1]
    return pairs * (2 * products * depth + 15 * n_slots + 5)


FLOPS: dict[str, Callable] = {
    # an addition an edge and column; a row's epilogue has two inner products and four sums
    "messages": lambda l: (
        (len(l.indices) * (1 + (l.stored1 is not None)) + 4 * len(l.rows)) * int(l.d)
    ),
    "layer": lambda l: (len(l.indices) * (1 + (l.x_p is not None)) + 12 * len(l.rows)) * int(l.d),
    "messages_adjoint": lambda l: 14 * int(l.n_rows) * int(l.d),
    "pair_dots": _pair_flops(2),
    "owner_dots": _pair_flops(4),
    "side_pairs": _pair_flops(2, 12),
    "side_pairs_adjoint": lambda l: 10 * l.scalars.size / 3 * l.share,
    "owner_side": _pair_flops(4, 4),
    "owner_unique_side": _pair_flops(4),
    "interaction_pairs": lambda l: 9 * int(l.n_behaviors) * _rows(l) * l.share * int(l.d),
    "owner_interaction": lambda l: 22 * int(l.n_behaviors) * _rows(l) * l.share * int(l.d),
    "gate_pieces": lambda l: 2 * l.d_logits.size * int(l.d),
    "node_stage": lambda l: 4 * l.logits.size * int(l.d),
    "sweep": _sweep_flops,
    "update": lambda l: 14 * l.theta.size,
}


def arrays_of(launch: Launch) -> dict[str, tuple[np.ndarray, ...]]:
    """The arrays of a launch by parameter, each once even where two parameters name it."""
    found, seen = {}, set()
    gathered = [name for name in launch.arguments if (launch.name, name) in GATHERED]
    for name in [*gathered, *(name for name in launch.arguments if name not in gathered)]:
        value = launch.arguments[name]
        if (launch.name, name) in FOR_SELF_LOOPS and not launch.self_loop:
            continue
        if name == "added" and not launch.count0 + launch.count1:
            continue  # Pointers name one array at least
        some = value.arrays if isinstance(value, Pointers) else (value,)
        again = (launch.name, name) in WRITTEN
        some = {id(one): one for one in some if isinstance(one, np.ndarray)}
        some = tuple(one for key, one in some.items() if again or key not in seen)
        if some:
            found[name] = some
            if name not in gathered:  # what is gathered may be read in order as well
                seen.update(map(id, some))
    return found


def cost(launch: Launch) -> Cost:
    """Bytes and operations of a launch; see the top of this file."""
    dram = l2 = 0.0
    counted: set[int] = set()
    for name, arrays in arrays_of(launch).items():
        reads = GATHERED.get((launch.name, name))
        for array in arrays:
            if reads is None:
                times = 2 if name in UPDATED.get(launch.name, ()) else 1
                l2 += times * array.nbytes
                again = id(array) in counted and (launch.name, name) not in WRITTEN
                dram += 0 if again else times * array.nbytes
            else:
                taken = float(reads(launch, array))
                l2 += taken
                if (launch.name, name) in ALSO_IN_ORDER:
                    l2 += array.nbytes
                dram += 0 if id(array) in counted else min(taken, array.nbytes)
            counted.add(id(array))
    flops = FLOPS[launch.name](launch) if launch.name in FLOPS else l2 / 2
    return Cost(dram, l2, float(flops))


def gathered_again(launch: Launch) -> tuple[float, float]:
    """(bytes of gathered rows beyond the first reading of each, bytes of their tables)."""
    again = tables = 0.0
    for name, arrays in arrays_of(launch).items():
        reads = GATHERED.get((launch.name, name))
        if reads is not None:
            for array in arrays:
                again += max(float(reads(launch, array)) - array.nbytes, 0)
                tables += array.nbytes
    return again, tables


class Gpu(NamedTuple):
    """Public peak figures: float32 operations, bytes of DRAM and of L2 a second; bytes of L2."""

    name: str
    flops: float
    dram: float
    l2: float
    l2_size: float


# Operations, DRAM and sizes: NVIDIA's data sheets of the T4, the A100 80GB SXM, the H100 SXM and
# the H200, but for the L2 of the last, which is as large as its driver says.
# L2: 5120 bytes a clock are of the A100's white paper, at 1.41 GHz. NVIDIA gives none for the
# others: the H100 and the H200 are taken with as many bytes a clock at 1.755 GHz, the T4 with what
# microbenchmarks found (Jia et al., arXiv:1903.07486).
GPUS = (
    Gpu("T4", 8.1e12, 0.32e12, 1.27e12, 4e6),
    Gpu("A100", 19.5e12, 2.039e12, 7.2e12, 40e6),
    Gpu("H100", 67e12, 3.35e12, 9.0e12, 50e6),
    Gpu("H200", 67e12, 4.8e12, 9.0e12, 60e6),
)


def bound(launch: Launch, gpu: Gpu) -> float:
    """Seconds that a launch takes at least, in this model."""
    whole = cost(launch)
    times = [whole.flops / gpu.flops, whole.l2 / gpu.l2]
    if whole.dram > gpu.l2_size:
        again, tables = gathered_again(launch)
        misses = max(0.0, 1 - gpu.l2_size / tables) * again if tables else 0.0
        times.append((whole.dram + misses) / gpu.dram)
    return max(times)


# ---- data sets and the steps they take ----------------------------------------------------------


@dataclass(frozen=True)
class Shop:
    """Sizes of a data set and of its official preset; behaviours upstream first."""

    name: str
    users: int
    items: int
    interactions: tuple[int, ...]
    layers: tuple[int, ...]
    live: tuple[int, ...]  # behaviours with a loss
    excluded: tuple[int, ...] = ()  # from unique pairs
    d: int = 64
    batch_users: int = 256
    samples: int = 40

    @property
    def nodes(self) -> int:
        return self.users + self.items

    @property
    def terms(self) -> list[tuple[int, int | None]]:
        """(k, other): own lists, then unique pairs."""
        admitted = [k for k in range(len(self.interactions)) if k not in self.excluded]
        own = [(k, None) for k in self.live]
        return own + [(k, j) for k in self.live for j in admitted if j != k and k in admitted]

    def times(self, factor: int) -> Shop:
        """As many times more users, items and interactions."""
        return Shop(
            f"{self.name} × {factor}",
            self.users * factor,
            self.items * factor,
            tuple(one * factor for one in self.interactions),
            self.layers,
            self.live,
            self.excluded,
        )


TAOBAO = Shop("Taobao", 15449, 11953, (873954, 195476, 92180), (4, 1, 1), (1, 2))
# Of Tmall's clicks and collections only their sum is known, and so it is the clicks that get it.
SHOPS = (
    TAOBAO,
    Shop("Tmall", 41738, 11953, (2042418, 0, 1996, 255586), (4, 1, 1, 1), (1, 3), (2,)),
    Shop("Beibei", 21716, 7977, (2412586, 642622, 282860), (4, 1, 1), (1, 2)),
    TAOBAO.times(10),
    TAOBAO.times(100),
)


def even_graph(shop: Shop, interactions: int) -> Adjacency:
    """A pattern of so many interactions, each side's degrees as even as they can be."""
    ends = [np.arange(n + 1, dtype=np.int64) * interactions // n for n in (shop.users, shop.items)]
    indptr = np.concatenate([ends[0], interactions + ends[1][1:]]).astype(np.int32)
    scale = shaped(shop.nodes)
    indices = shaped(2 * interactions, np.int32)
    return Adjacency(indptr, indices, scale, scale, True, False, 0, shaped(2, np.int32))


def step(shop: Shop) -> list[Launch]:
    """The kernels of one training step of the official preset, in order.

    What the tape itself adds up, copies and clears lies between them and is not counted.
    """
    backend = Recorder()
    kernel = forms(backend)
    sample, propagate = kernel["sample"], kernel["propagate"]
    pairs, pme = kernel["pairs"], kernel["pme"]
    d, n_behaviors, nodes = shop.d, len(shop.interactions), shop.nodes
    table = shaped((nodes, d))
    clock, users = shaped(2, np.uint32), shaped(shop.batch_users, np.int32)

    lists = [users]
    shares = {}
    for number, (k, other) in enumerate(shop.terms):
        indptr = shaped(shop.users + 1, np.int32)
        indices = shaped(shop.interactions[k], np.int32)
        caps = shaped(shop.users, np.int32)
        left, right, _ = sample.draw_slots(
            indptr, indices, shop.items, caps, users, 0, clock, number, shop.samples
        )
        # Of a user's slots, no more are used than he has positives (at most: the mean's).
        shares[k, other] = min(1.0, shop.interactions[k] / shop.users / shop.samples)
        lists += [left, right]
    capacity = shop.batch_users + min(shop.items, sum(len(one) for one in lists[2::2]))
    batch, numbers = pairs.compact(lists, nodes, capacity)
    pairs_of = {}
    for term, left, right in zip(shop.terms, numbers[1::2], numbers[2::2], strict=True):
        backend.share = shares[term]
        pairs_of[term] = pairs.index_pairs(left, right, capacity)

    backend.share = 1.0
    graphs = [even_graph(shop, one) for one in shop.interactions]
    trails, z = [], table
    for k, (graph, depth) in enumerate(zip(graphs, shop.layers, strict=True)):
        p, start, trail = table, z, []
        p_sum = shaped((nodes, d)) if k in shop.live else None
        for _ in range(depth):
            merged = p is z
            p, z, p_sum, _, saved = propagate.layer(
                graph, p, z, p_sum, shaped((nodes, d)), "projection", "state", 0.3
            )
            trail.append((saved, merged))
        trails.append(trail)
        if z is start:
            z = shaped((nodes, d))

    # A device copy of each table, so that tables are told apart.
    stack = pairs.gather([shaped((nodes, d)) for _ in range(n_behaviors)], batch)
    states = pairs.gather([shaped((nodes, d)) for _ in shop.live], batch)
    weight, bias = shaped((2 * d, n_behaviors)), shaped(n_behaviors)
    backwards = []
    for term, pair in pairs_of.items():
        backend.share, (k, other) = shares[term], term
        if other is None:
            gate = (stack, None, k, weight, bias, pair, 0.01, 300)
            scores, saved = pme.gated_side(*gate)
            backwards.append((shares[term], pme.gated_side_adjoint, gate, saved, scores))
            at = (states[shop.live.index(k)], pair, 300)
            backwards.append((shares[term], pairs.dot_adjoint, at, None, pairs.dot(*at)))
        else:
            two = (stack[other], stack[k], pair, 0.01, 300)
            scores, saved = pme.unique_side(*two)
            backwards.append((shares[term], pme.unique_side_adjoint, two, saved, scores))
        for scores in [one[-1] for one in backwards[-2 if other is None else -1 :]]:
            kernel["bpr"].bpr_slots(scores, pair.left, shaped((), np.int32))
    for share, adjoint, arguments, saved, scores in reversed(backwards):
        backend.share = share
        adjoint(scores, *arguments, *(() if saved is None else (saved,)))
    backend.share = 1.0
    pairs.gather_adjoint(stack, batch, nodes)
    pairs.gather_adjoint(states, batch, nodes)
    for k in reversed(range(n_behaviors)):
        d_p = None
        d_p_sum = shaped((nodes, d)) if k in shop.live else None
        for saved, merged in reversed(trails[k]):
            d_p, _, _, _ = propagate.layer_adjoint(
                graphs[k],
                d_p,
                shaped((nodes, d)),
                d_p_sum,
                shaped((nodes, d)),
                saved,
                "projection",
                "state",
                0.3,
                merged=merged,
            )
    for shape in ((shop.users, d), (shop.items, d), (2 * d, n_behaviors), (n_behaviors,)):
        parts = [shaped(shape) for _ in range(4)]
        kernel["adam"].update_scheduled(*parts, shaped((1, 2), np.float64), clock)
    return backend.launches


def evaluation(shop: Shop) -> list[Launch]:
    """The kernels of a full ranking of one held-out item a user."""
    backend = Recorder()
    slots = len(shop.interactions)
    scorer = rank_contract.GatedScorer(
        *(shaped((n, width)) for width in (shop.d, slots, slots) for n in (shop.users, shop.items))
    )
    users, items = (shaped(shop.users, np.int32) for _ in range(2))
    seen = shaped(shop.users + 1, np.int32), shaped(shop.interactions[-1], np.int32)
    forms(backend)["rank"].ranks(scorer, users, items, *seen)
    return backend.launches


# ---- tables -------------------------------------------------------------------------------------


def _sized(bytes_: float) -> str:
    return f"{bytes_ / 1e6:,.1f}" if bytes_ < 1e9 else f"{bytes_ / 1e6:,.0f}"


def table(launches: list[Launch]) -> list[str]:
    """Markdown lines: a row a kernel, most time first, and the sum."""
    lines = [
        "| kernel | launches | DRAM MB | L2 MB | Mflop | "
        + " | ".join(f"{gpu.name} µs" for gpu in GPUS)
        + " |",
        "|---|" + "---:|" * (4 + len(GPUS)),
    ]
    groups: dict[str, list[Launch]] = {}
    for launch in launches:
        groups.setdefault(f"{launch.operation}: {launch.name}", []).append(launch)
    rows = [(name, *_summed(some)) for name, some in groups.items()]
    rows.sort(key=lambda row: -row[2][-1])
    for name, whole, times in [*rows, ("all", *_summed(launches))]:
        cells = [_sized(whole.dram), _sized(whole.l2), f"{whole.flops / 1e6:,.1f}"]
        cells += [f"{1e6 * one:,.1f}" for one in times]
        lines.append(f"| {name} | {whole.launches} | {' | '.join(cells)} |")
    return lines


def _summed(launches: list[Launch]) -> tuple[Cost, list[float]]:
    whole = sum((cost(one) for one in launches), Cost(0, 0, 0, 0))
    return whole, [sum(bound(one, gpu) for one in launches) for gpu in GPUS]


def report() -> str:
    """The whole file."""
    peaks = "; ".join(
        f"{gpu.name} {gpu.flops / 1e12:g} Tflop/s, {gpu.dram / 1e12:g} TB/s, L2 "
        f"{gpu.l2 / 1e12:g} TB/s of {gpu.l2_size / 1e6:g} MB"
        for gpu in GPUS
    )
    lines = [
        "# CUDA kernels: predicted lower bounds of time",
        "",
        "**Predicted, not measured.** Written by `python bench/roofline.py`, whose head says how",
        "bytes and operations are counted. float32, d = 64, official preset: one training step and",
        "one full ranking of a held-out item a user. Times are lower bounds, from peak figures;",
        "no launch overhead and nothing that the tape does between kernels is in them.",
        "",
        f"Peaks: {peaks}. Data sheets; the L2 of T4, H100 and H200 is assumed (see `GPUS`).",
        "",
        "| data | step: launches | " + " | ".join(f"{gpu.name} ms" for gpu in GPUS) + " | ranking: "
        "launches | " + " | ".join(f"{gpu.name} ms" for gpu in GPUS) + " |",
        "|---|" + "---:|" * (2 + 2 * len(GPUS)),
    ]
    details = []
    for shop in SHOPS:
        cells = []
        for title, launches in (("step", step(shop)), ("ranking", evaluation(shop))):
            whole, times = _summed(launches)
            cells += [str(whole.launches), *(f"{1e3 * one:.2f}" for one in times)]
            details += ["", f"## {shop.name}: {title}", "", *table(launches)]
        lines.append(f"| {shop.name} | {' | '.join(cells)} |")
    return "\n".join([*lines, *details]) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--output", type=Path, default=ROOT / "bench/results/roofline.md")
    args = options.parse_args()
    text = report()
    print(text)
    write_text(args.output, text)


if __name__ == "__main__":
    main()
