"""The two streams with parallel knowledge fusion (PKF, paper Sec. 4.2).

`streams_as_written` is the paper's text from small operations; `streams` is what trains: the same
equations, one fused operation a behaviour. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from ...kernels.propagate import Adjacency
from ...tape import ops
from ...tape.autograd import Tensor
from .config import PkefConfig


def fusion_shapes(config: PkefConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the fusion's parameters: fusion.{k}.{l}.weight and .bias."""
    d = config.d
    per_layer = {
        "linear": {"weight": (d, d), "bias": (d,)},
        "vanilla": {"weight": (4 * d, 4), "bias": (4,)},
    }.get(config.fusion, {})
    return {
        f"fusion.{k}.{layer}.{name}": shape
        for k, depth in enumerate(config.layers)
        for layer in range(depth)
        for name, shape in per_layer.items()
    }


def _fuse(config: PkefConfig, a: Tensor, c: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if config.fusion == "projection":
        return ops.project(a, c)  # Eq. 12
    if config.fusion == "summation":
        return a
    if config.fusion == "linear":
        return ops.affine(a, weight, bias)
    parts = (c, a, c - a, c * a)  # Eq. 13
    w = ops.softmax(ops.affine(ops.concatenate(*parts), weight, bias))
    return ops.mix(w, ops.stack(*parts))


def streams_as_written(
    E: Tensor, graphs: Sequence[Adjacency], config: PkefConfig, parameters: dict
):
    """Parallel sums P^k and cascade sums Z^k, K × (N, d) each, of the table E (N, d)."""
    P, Z, z = [], [], E  # z^{1,0} = E
    for k, (graph, depth) in enumerate(zip(graphs, config.layers, strict=True)):
        p, start = E, z  # p^{k,0} = E
        P_k, Z_k = p, z  # layer sums begin with l = 0
        for layer in range(depth):
            c = ops.spread(z, adjacency=graph)  # Â_k z^{k,l}
            z = c + z  # z^{k,l+1} without fusion, Eq. 9
            if config.fusion != "none":
                e = ops.spread(p, adjacency=graph)  # Â_k p^{k,l}
                p = e + p  # p^{k,l+1}, Eq. 11
                a = e if config.fusion_source == "message" else p
                weights = (parameters.get(f"fusion.{k}.{layer}.{n}") for n in ("weight", "bias"))
                z = z + config.fusion_scale * _fuse(config, a, c, *weights)  # z^{k,l+1}, Eq. 12
            P_k, Z_k = P_k + p, Z_k + z  # Eq. 14
        z = z + start  # z^{k+1,0}, Eq. 10
        P.append(P_k)
        Z.append(Z_k)
    return P, Z


def streams(
    E: Tensor,
    graphs: Sequence[Adjacency],
    config: PkefConfig,
    parameters: dict,
    read_parallel: frozenset[int],
    read_cascade: frozenset[int],
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """The same sums, of those behaviours alone that somebody reads, by the fused operation.

    Parameters
    ----------
    E : Tensor (N, d)
    graphs : K Adjacency
    parameters : dict of Tensor
        Holds the fusion's, named as in `fusion_shapes`.
    read_parallel, read_cascade : sets of behaviour numbers
        Whose P^k, Z^k are read. Behaviours after the last read one are not computed.

    Returns
    -------
    P, Z : dict of Tensor (N, d), by behaviour number
    """
    P, Z = {}, {}
    count = 1 + max(read_parallel | read_cascade, default=-1)
    for k, (parallel, _, cascade) in enumerate(
        stages(E, graphs[:count], config, parameters, read_parallel)
    ):
        if k in read_parallel:
            P[k] = parallel
        if k in read_cascade:
            Z[k] = cascade
    return P, Z


def stages(
    E: Tensor,
    graphs: Sequence[Adjacency],
    config: PkefConfig,
    parameters: dict,
    read_parallel: Container[int] = (),
    heard: Container[int] | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each behaviour in turn: P^k (empty unless read), its start z^{k,0}, and Z^k.

    `heard`: behaviours whose graphs pass messages; None: all. Without its messages, and so without
    what is fused with them, a layer's output is its input.
    """
    z = E
    for k, graph in enumerate(graphs):
        start, depth = z, config.layers[k]
        if heard is not None and k not in heard:
            z = 2 * start  # Eq. 10 with z^{k,L} = z^{k,0}
            yield E, start, (1 + depth) * start
            continue
        names = [f"fusion.{k}.{i}.{n}" for i in range(depth) for n in ("weight", "bias")]
        weights = [parameters[name] for name in names if name in parameters]
        parallel, cascade, z = ops.propagate(
            E,
            start,
            *weights,
            adjacency=graph,
            layers=depth,
            fusion=config.fusion,
            fusion_source=config.fusion_source,
            fusion_scale=config.fusion_scale,
            parallel=k in read_parallel and config.fusion != "none",
        )
        yield parallel, start, cascade
