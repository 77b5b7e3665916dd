"""Where the time of a training step goes, and how near each stage is to the machine's limit.

Every kernel call of a step is timed, and its bytes are counted from the shapes it was given:

    gathered   rows of a table read at random: an edge's neighbour, a pair's ends
    streamed   every array that the call is given or returns, once; twice where it is read and
               written

Both are held against what the machine was measured to do in the same run (`bandwidth.py`).
Times of everything, peers too, are taken in turns, so that whatever else the machine does meets all
of them alike; the figures are medians.
"""

from __future__ import annotations

import inspect
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..data.dataset import Dataset
from ..device import Device, device
from ..evaluate import figures as evaluation
from ..graph.adjacency import adjacency
from ..kernels import OPERATIONS
from ..kernels.buffers import empty
from ..kernels.propagate import Adjacency
from ..train.config import TrainConfig
from ..train.protocol import Trained
from ..train.trainer import Trainer
from . import bandwidth

ROUNDS = 21
COPIES = 32  # tables that the copy goes through in turn: about as many as a step has


# ---- bytes, from shapes --------------------------------------------------------------------------


def arrays_in(*values: Any) -> Iterable[np.ndarray]:
    """All arrays in nested tuples, lists and dicts."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from arrays_in(*value)
        elif isinstance(value, Mapping):
            yield from arrays_in(*value.values())


def array_bytes(*values: Any) -> int:
    """Bytes of all arrays in `values`, each once, also where it is named twice."""
    found = {(a.ctypes.data, a.nbytes): a.nbytes for a in arrays_in(*values)}
    return sum(found.values())


def _row_bytes(table) -> int:
    return table.shape[-1] * table.itemsize


def _product_bytes(adjacency: Adjacency, table) -> int:
    """Bytes that one product gathers."""
    rows = len(adjacency.indices) + adjacency.self_loop * (len(adjacency.indptr) - 1)
    narrow = adjacency.storage != "exact" and table.dtype == np.float32
    return rows * _row_bytes(table) // (2 if narrow else 1)


class Moved(NamedTuple):
    """Bytes of a call."""

    gathered: int
    streamed: int


def _spread(args, result) -> Moved:
    adjacency, x = args["adjacency"], args["x"]
    return Moved(_product_bytes(adjacency, x), array_bytes(adjacency, result))


def _layer_sum(args, result) -> Moved:
    """Each layer gathers, reads what is added and writes; the first table may be scaled before."""
    adjacency, x, layers = args["adjacency"], args["x"], args["layers"]
    scaled = 0 if adjacency.unit_in else 2 * x.nbytes
    each = array_bytes(adjacency) + 2 * x.nbytes
    return Moved(layers * _product_bytes(adjacency, x), scaled + layers * each)


def _grown(args) -> int:
    """Bytes of the layer sums that are written where they were read: all but those that begin."""
    sums = ((args["p_sum"], args["p"]), (args["z_sum"], args["z"]))
    return array_bytes([total for total, before in sums if total is not before])


def _layer(args, result) -> Moved:
    p, z = args["p"], args["z"]
    tables = 1 if p is None or p is z else 2
    return Moved(
        tables * _product_bytes(args["adjacency"], z),
        array_bytes(list(args.values()), result) + _grown(args),
    )


def _layer_adjoint(args, result) -> Moved:
    some = result[1]
    tables = 1 if args["merged"] or args["fusion"] == "none" else 2
    gathered = tables * _product_bytes(args["adjacency"], some)
    return Moved(gathered, array_bytes(list(args.values()), result))


def _rows_of_tables(args, result) -> Moved:
    """gather: the batch's rows are read here and there, and written."""
    return Moved(result.nbytes, array_bytes(args["nodes"], result))


def _rows_to_tables(args, result) -> Moved:
    """gather_adjoint: tables are zeroed, the batch's rows are read and written there."""
    d_rows = args["d_rows"]
    return Moved(d_rows.nbytes, array_bytes(args, result))


def _pair_scores(args, result) -> Moved:
    """Scores of pairs and their adjoints: both ends' rows of each table, for each pair."""
    tables = [a for name, a in args.items() if name in ("tables", "table_j", "table_k", "x")]
    row = sum(_row_bytes(a) * (len(a) if a.ndim == 3 else 1) for a in tables)
    return Moved(2 * len(args["pairs"].left) * row, array_bytes(list(args.values()), result))


def _mixture(args, result) -> Moved:
    """Both ends' columns of every expert, for each pair; in the adjoint at either end."""
    width = args["columns"].count * len(args["tower"]) * args["tower"].itemsize
    return Moved(2 * len(args["pairs"].left) * width, array_bytes(list(args.values()), result))


def _update(args, result) -> Moved:
    written = args["theta"], args["m"], args["v"]
    return Moved(0, array_bytes(list(args.values())) + array_bytes(written))


def _streamed(args, result) -> Moved:
    return Moved(0, array_bytes(list(args.values()), result))


FORMULAS: dict[tuple[str, str], Callable[[Mapping[str, Any], Any], Moved]] = {
    ("propagate", "spread"): _spread,
    ("propagate", "layer_sum"): _layer_sum,
    ("propagate", "layer"): _layer,
    ("propagate", "layer_adjoint"): _layer_adjoint,
    ("pairs", "gather"): _rows_of_tables,
    ("pairs", "gather_adjoint"): _rows_to_tables,
    ("adam", "update"): _update,
    ("experts", "mixture"): _mixture,
    ("experts", "mixture_adjoint"): _mixture,
    **{
        (operation, f"{name}{adjoint}"): _pair_scores
        for operation, name in (
            ("pairs", "dot"),
            ("pme", "gated_side"),
            ("pme", "gated_interaction"),
            ("pme", "unique_side"),
            ("pme", "unique_interaction"),
        )
        for adjoint in ("", "_adjoint")
    },
}


# ---- stages --------------------------------------------------------------------------------------


@dataclass
class Stage:
    """What a stage has taken in one step."""

    seconds: float = 0.0
    calls: int = 0
    gathered: int = 0
    streamed: int = 0


class Recorder:
    """Kernels whose calls are timed and counted by stage while `on`; otherwise just called."""

    def __init__(self, place: Device):
        self.on = False
        self.graphs: dict[int, str] = {}  # behaviours by the address of their patterns
        self.stages: dict[str, Stage] = {}
        timed = {name: _Timed(self, name, getattr(place.kernels, name)) for name in OPERATIONS}
        self.device = replace(place, kernels=replace(place.kernels, **timed))

    def name_graphs(self, behaviors: Iterable[str], graphs: Iterable[Adjacency]) -> None:
        """Call each behaviour's stages by its name."""
        for name, graph in zip(behaviors, graphs, strict=True):
            self.graphs[graph.indptr.ctypes.data] = name

    def record(self, call: Callable[[], Any]) -> dict[str, Stage]:
        """Stages of one call, in the order in which they were first entered."""
        self.stages, self.on = {}, True
        try:
            call()
        finally:
            self.on = False
        return self.stages

    def add(self, operation: str, function: str, args: dict, result: Any, seconds: float) -> None:
        """Count a kernel's call."""
        stage = self.stages.setdefault(self._stage_of(operation, function, args), Stage())
        moved = FORMULAS.get((operation, function), _streamed)(args, result)
        stage.seconds += seconds
        stage.calls += 1
        stage.gathered += moved.gathered
        stage.streamed += moved.streamed

    def _stage_of(self, operation: str, function: str, args: dict) -> str:
        back = ", adjoint" if function.endswith("_adjoint") else ""
        if "adjacency" in args:
            name = self.graphs.get(args["adjacency"].indptr.ctypes.data, "graph")
            if function in ("spread", "layer_sum"):
                return f"propagate {name}"  # forward and back: one function
            if args.get("fusion") == "none":
                streams = "cascade alone"
            elif args.get("merged") or ("p" in args and args["p"] is args["z"]):
                streams = "both streams from one table"
            else:
                streams = "both streams"
            return f"propagate {name}: {streams}{back}"
        if operation == "sample" or function in ("compact", "index_pairs"):
            return "sample"
        if operation in ("pairs", "pme", "gate", "attention"):
            return f"experts{back}"
        if operation in ("linear", "normalise", "dropout"):
            return "sums and dense maps"
        if operation in ("bpr", "bce", "allpairs"):
            return "loss"
        return {"adam": "update", "rank": "rank"}.get(operation, operation)


class _Timed:
    """One operation's kernels; see `Recorder`."""

    def __init__(self, recorder: Recorder, operation: str, kernels: Any):
        self._recorder, self._operation, self._kernels = recorder, operation, kernels
        for name in kernels.__all__:
            setattr(self, name, self._timed(name, getattr(kernels, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def _timed(self, name: str, function: Callable) -> Callable:
        recorder, operation = self._recorder, self._operation
        bind = inspect.signature(function).bind

        def call(*args, **kwargs):
            if not recorder.on:
                return function(*args, **kwargs)
            start = time.perf_counter()
            result = function(*args, **kwargs)
            seconds = time.perf_counter() - start
            bound = bind(*args, **kwargs)
            bound.apply_defaults()
            recorder.add(operation, name, bound.arguments, result, seconds)
            return result

        return call


# ---- the yardsticks ------------------------------------------------------------------------------


def scipy_product(graph: Adjacency, x: np.ndarray) -> Callable[[], np.ndarray]:
    """SciPy's `csr @ dense` with a graph's adjacency: its median time is T."""
    n_nodes = len(graph.indptr) - 1
    values = np.repeat(graph.scale_out, np.diff(graph.indptr)) * graph.scale_in[graph.indices]
    matrix = sp.csr_matrix((values, graph.indices, graph.indptr), shape=(n_nodes, n_nodes))
    return lambda: matrix @ x


def in_turns(
    calls: Mapping[str, Callable[[], Any]], rounds: int, warm: int = 1
) -> dict[str, list[float]]:
    """Seconds of each call, `rounds` times in turns; before each, `warm` untimed calls of it."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            for _ in range(warm):
                call()
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def tables(count: int, n_nodes: int, d: int, dtype: type) -> list[np.ndarray]:
    """Random tables (n_nodes, d) that start at a cache line, as those of training do."""
    random = np.random.default_rng(0)
    result = [empty((n_nodes, d), dtype) for _ in range(count)]
    for table in result:
        table[...] = random.standard_normal(table.shape, np.float32)
    return result


# ---- the report ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line of the report; None where something does not apply.

    Attributes
    ----------
    what : str
    seconds : float, median
    share : float, of a step (or of an evaluation)
    gathered, streamed : int, bytes
    of_gather, of_copy : float, share of the measured bandwidths
    multiple : float, of `against`: the seconds of another row
    """

    what: str
    seconds: float
    share: float | None = None
    gathered: int | None = None
    streamed: int | None = None
    of_gather: float | None = None
    of_copy: float | None = None
    multiple: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Report:
    """What `measure` found; bandwidths in bytes a second."""

    dataset: str
    preset: str
    d: int
    precision: str
    threads: int
    copy: float
    gather: float
    rows: tuple[Row, ...]


class Peer(NamedTuple):
    """Another program's way to do the same work.

    `against` is "product", "step" or "epoch": what of this package it stands beside. `call` does it
    once; where there is none, `seconds()` measures it itself.
    """

    name: str
    against: str
    call: Callable[[], Any] | None = None
    seconds: Callable[[], float] | None = None


PRODUCT, LAYER, STEP, EVALUATION = "product", "layer", "step", "evaluation"
T = "SciPy csr @ dense"


def measure(
    kind: type[Trained],
    dataset: Dataset,
    config: TrainConfig,
    preset: str,
    threads: int,
    rounds: int = ROUNDS,
    peers: Callable[[Trainer, Adjacency, np.ndarray], list[Peer]] | None = None,
) -> Report:
    """Time the stages of training steps and evaluations, and what stands beside them.

    Parameters
    ----------
    kind : class of the model
    dataset : Dataset
    config : checked for the data set's behaviours
    preset : str
        Its name, for the report.
    threads : int
        The number in use, for the report.
    rounds : int
        How many times everything is measured.
    peers : callable, optional
        (trainer, the first behaviour's graph, a table (N, d)) → peers to measure along.
    """
    recorder = Recorder(device("cpu"))
    trainer = Trainer(kind(config, dataset, recorder.device), dataset)
    model = trainer.model
    recorder.name_graphs(model.reads, model.graphs)
    dtype = model.dtype
    # T and peers have the data set's own node order: the model's is a part of what is measured.
    plain = adjacency(dataset.interactions[0], dataset.n_items, "left", dtype=dtype)
    graph = dict(zip(model.reads, model.graphs, strict=True)).get(dataset.behaviors[0], plain)
    n_nodes = dataset.n_users + dataset.n_items
    # The widest table of users: not every config has one d.
    by_user = (one.data for one in model.parameters.values() if len(one.data) == dataset.n_users)
    d = max(table.shape[1] for table in by_user if table.ndim == 2)
    x, *others = tables(5, n_nodes, d, dtype)
    ring = [table.reshape(-1) for table in tables(COPIES, n_nodes, d, dtype)]
    propagate = device("cpu").kernels.propagate
    layer = getattr(model, "one_layer", None)  # a fused one, where the model has it

    def copies():
        for i in range(COPIES):
            bandwidth.copy(ring[i], ring[(i + COPIES // 2) % COPIES])

    def evaluate():
        evaluation.evaluate(model.ranker(), dataset)

    stages: dict[str, list[dict[str, Stage]]] = {STEP: [], EVALUATION: []}

    def recorded(what, call):
        return lambda: stages[what].append(recorder.record(call))

    found = [] if peers is None else peers(trainer, plain, x)
    calls = {
        T: scipy_product(plain, x),
        PRODUCT: lambda: propagate.spread(graph, x),
        **({LAYER: lambda: layer(propagate, *others)} if layer else {}),
        "copy": copies,
        "gather": lambda: bandwidth.read_rows(x, graph.indices),
        STEP: trainer.make_step,
        EVALUATION: evaluate,
        "recorded step": recorded(STEP, trainer.make_step),
        "recorded evaluation": recorded(EVALUATION, evaluate),
        **{peer.name: peer.call for peer in found if peer.call},
    }
    trainer.make_step()  # compiles
    evaluate()
    seconds = in_turns(calls, rounds)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for peer in found:
        if peer.seconds:
            median[peer.name] = peer.seconds()
    table = x.nbytes
    machine = _Machine(
        copy=2 * COPIES * table / median["copy"],
        gather=len(graph.indices) * _row_bytes(x) / median["gather"],
    )
    view, unit = dataset.behaviors[0], median[T]
    product_bytes = _spread({"adjacency": graph, "x": x}, x)
    rows = [
        *machine.stages(stages[STEP], median[STEP], "tape and Python"),
        Row("a step", median[STEP], 1.0, multiple=median[STEP] / unit, against="T"),
        *machine.stages(stages[EVALUATION], median[EVALUATION], "metrics and Python", "evaluation"),
        Row("an evaluation", median[EVALUATION], multiple=median[EVALUATION] / unit, against="T"),
        Row(f"T: {T}, {view}", unit, multiple=unit / median[PRODUCT], against="product"),
        replace(
            machine.row(f"product: one stream, {view}", median[PRODUCT], *product_bytes),
            multiple=median[PRODUCT] / unit,
            against="T",
        ),
    ]
    if layer:
        took = median[LAYER]
        multiple = took / median[PRODUCT]
        rows.append(Row(f"a fused layer, {view}", took, multiple=multiple, against="product"))
    beside = {**median, "epoch": trainer.steps_per_epoch * median[STEP]}
    for peer in found:
        took = median[peer.name]
        rows.append(
            Row(peer.name, took, multiple=took / beside[peer.against], against=peer.against)
        )
    return Report(
        dataset.name,
        preset,
        d,
        config.precision,
        threads,
        machine.copy,
        machine.gather,
        tuple(rows),
    )


@dataclass(frozen=True)
class _Machine:
    """Measured bandwidths, bytes a second."""

    copy: float
    gather: float

    def row(self, what: str, seconds: float, gathered: float, streamed: float, share=None) -> Row:
        """A row with its shares of the bandwidths."""
        return Row(
            what,
            seconds,
            share,
            int(gathered),
            int(streamed),
            gathered / seconds / self.gather if seconds else 0.0,
            streamed / seconds / self.copy if seconds else 0.0,
        )

    def stages(
        self, recorded: list[dict[str, Stage]], whole: float, rest: str, prefix: str = ""
    ) -> Iterable[Row]:
        """Rows of the stages that were recorded, and of what is left of the whole."""
        parts: dict[str, list[Stage]] = defaultdict(list)
        for stages in recorded:
            for name, stage in stages.items():
                parts[name].append(stage)
        prefix = prefix and f"{prefix}: "
        left = whole
        for name, found in parts.items():
            # A stage may be missing in some steps: medians over those that have it, times how many.
            often = len(found) / len(recorded)
            seconds, gathered, streamed = (
                often * statistics.median(getattr(stage, field) for stage in found)
                for field in ("seconds", "gathered", "streamed")
            )
            left -= seconds
            yield self.row(f"{prefix}{name}", seconds, gathered, streamed, seconds / whole)
        yield Row(f"{prefix}{rest}", max(left, 0.0), max(left, 0.0) / whole)
