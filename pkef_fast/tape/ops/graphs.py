"""Sums over the neighbours in a graph, and the layers that are made of them."""

from __future__ import annotations

from ..autograd import Op, expect
from .rows import total_gradient


def _spread(kernels, x, *, adjacency, back=None):
    """`back` is the transpose where the pattern is not symmetric."""
    n_nodes = len(adjacency.indptr) - 1
    expect(len(x) == n_nodes, "spread", f"a table of {len(x)} rows for {n_nodes} nodes")
    return kernels.propagate.spread(adjacency, x), (adjacency.transposed if back is None else back,)


def _spread_adjoint(kernels, saved, needs, d_out):
    (back,) = saved
    return (kernels.propagate.spread(back, d_out),)


spread = Op("spread", _spread, _spread_adjoint)


def _layer_sum(kernels, x, *, adjacency, layers):
    """Σ_{l=0…layers} Â^l x: what layers without weights add up to."""
    n_nodes = len(adjacency.indptr) - 1
    expect(len(x) == n_nodes, "layer_sum", f"a table of {len(x)} rows for {n_nodes} nodes")
    return kernels.propagate.layer_sum(adjacency, x, layers), (adjacency.transposed, layers)


def _layer_sum_adjoint(kernels, saved, needs, d_out):
    back, layers = saved
    return (kernels.propagate.layer_sum(back, d_out, layers),)


layer_sum = Op("layer_sum", _layer_sum, _layer_sum_adjoint)


def _project(kernels, a, c):
    expect(a.shape == c.shape, "project", f"shapes {a.shape} and {c.shape} differ")
    out, r, inverse = kernels.propagate.project(a, c)
    return out, (a, c, r, inverse)


def _project_adjoint(kernels, saved, needs, d_out):
    return kernels.propagate.project_adjoint(d_out, *saved)


project = Op("project", _project, _project_adjoint)


def _propagate(
    kernels,
    table,
    start,
    *weights,
    adjacency,
    layers,
    fusion,
    fusion_source,
    fusion_scale,
    parallel,
    keep,
):
    """All layers of one behaviour: (P or an empty table, Z, the next behaviour's start)."""
    n_nodes = len(adjacency.indptr) - 1
    expect(
        table.shape == start.shape and len(table) == n_nodes,
        "propagate",
        f"tables {table.shape} and {start.shape} for {n_nodes} nodes",
    )
    p, z = (None if fusion == "none" else table), start  # p^{k,0} = E, z^{k,0}
    p_sum = table if parallel else None
    z_sum = start
    pairs = [weights[2 * i : 2 * i + 2] or (None, None) for i in range(layers)]
    trail = []
    for weight, bias in pairs:
        p, z, p_sum, z_sum, saved = kernels.propagate.layer(
            adjacency, p, z, p_sum, z_sum, fusion, fusion_source, fusion_scale, weight, bias, keep
        )
        trail.append(saved)
    # With one layer, the next start is the sum; a sum is not written again.
    following = z_sum if layers == 1 else kernels.linear.total(z, start)
    merged = table is start and fusion != "none"
    saved = (adjacency, fusion, fusion_source, fusion_scale, pairs, trail, merged)
    empty = table[:0]
    return (empty if p_sum is None else p_sum, z_sum, following), saved  # Eq. 14, 14, 10


def _propagate_adjoint(kernels, saved, needs, d_p_sum, d_z_sum, d_next):
    adjacency, fusion, fusion_source, fusion_scale, pairs, trail, merged = saved
    d_p, d_z = None, d_next
    d_weights = []
    if d_next is None and d_z_sum is None:
        d_z_sum = kernels.xp.zeros_like(d_p_sum)
    for i in reversed(range(len(trail))):
        d_p, d_z, d_weight, d_bias = kernels.propagate.layer_adjoint(
            adjacency,
            d_p,
            d_z,
            d_p_sum,
            d_z_sum,
            trail[i],
            fusion,
            fusion_source,
            fusion_scale,
            *pairs[i],
            merged=merged and i == 0,
            begins=i == 0,
        )
        trail[i] = None  # frees this layer's tables
        d_weights[:0] = [] if d_weight is None else [d_weight, d_bias]
    if not trail:  # the sums are the inputs
        d_p, d_z = d_p_sum, total_gradient(kernels, d_z_sum, d_z)
    return (d_p, total_gradient(kernels, d_z, d_next), *d_weights)


propagate = Op("propagate", _propagate, _propagate_adjoint)
