"""Tables and rows put together, taken apart and added."""

from __future__ import annotations

import itertools

from ..autograd import Op, expect


def total_gradient(kernels, *gradients):
    """Sum of those that are not None; a new array unless there is only one."""
    there = [gradient for gradient in gradients if gradient is not None]
    if len(there) < 2:
        return there[0] if there else None
    return kernels.linear.total(*there)


def _concatenate(kernels, *parts):
    """Side by side, along the last axis."""
    widths = tuple(part.shape[-1] for part in parts)
    y, end = kernels.xp.empty((*parts[0].shape[:-1], sum(widths)), parts[0].dtype), 0
    for part, width in zip(parts, widths, strict=True):  # a device can record assignments
        y[..., end : end + width] = part
        end += width
    return y, widths


def _concatenate_adjoint(kernels, saved, needs, d_out):
    ends = list(itertools.accumulate(saved))
    pieces = zip([0, *ends], ends, strict=False)
    return tuple(kernels.xp.ascontiguousarray(d_out[..., a:b]) for a, b in pieces)


concatenate = Op("concatenate", _concatenate, _concatenate_adjoint)


def _stack(kernels, *parts):
    return kernels.xp.stack(parts), ()


def _stack_adjoint(kernels, saved, needs, d_out):
    return tuple(d_out)


stack = Op("stack", _stack, _stack_adjoint)


def _stack_rows(kernels, users, items, *, order=None):
    """Users' rows, then items'; in a `locality.NodeOrder` where one is given."""
    expect(
        users.shape[1] == items.shape[1],
        "stack_rows",
        f"users have {users.shape[1]} columns, items {items.shape[1]}",
    )
    nodes = None if order is None else order.nodes
    return kernels.linear.stack(users, items, nodes), (len(users), order)


def _stack_rows_adjoint(kernels, saved, needs, d_out):
    n_users, order = saved
    if order is not None:
        (d_out,) = kernels.pairs.gather((d_out,), order.places)
    return d_out[:n_users], d_out[n_users:]


stack_rows = Op("stack_rows", _stack_rows, _stack_rows_adjoint)


def _rows_of(kernels, users, items, *, nodes):
    """Rows `nodes` (B, d) of the users' rows followed by the items'; that table is never made."""
    return kernels.linear.stack(users, items, nodes), (nodes, len(users), len(items))


def _rows_of_adjoint(kernels, saved, needs, d_out):
    nodes, n_users, n_items = saved
    (d_table,) = kernels.pairs.gather_adjoint(d_out[None], nodes, n_users + n_items)
    return d_table[:n_users], d_table[n_users:]


rows_of = Op("rows_of", _rows_of, _rows_of_adjoint)


def _split_rows(kernels, x, *, at):
    """The first `at` rows, and the others."""
    return (x[:at], x[at:]), (x.shape, at)


def _split_rows_adjoint(kernels, saved, needs, d_first, d_rest):
    shape, at = saved
    like = d_rest if d_first is None else d_first
    d_x = kernels.xp.zeros(shape, like.dtype)
    for here, part in ((slice(at), d_first), (slice(at, None), d_rest)):
        if part is not None:
            d_x[here] = part
    return (d_x,)


split_rows = Op("split_rows", _split_rows, _split_rows_adjoint)


def _sides(kernels, *tables, n_users, nodes=None):
    """Rows of K tables for the users and for the items: (K·u, d) and (K·i, d), behaviour by
    behaviour. All rows, of which the first n_users are users', or rows `nodes`, likewise."""
    if nodes is not None:
        rows = kernels.pairs.gather(tables, nodes)
    else:
        rows = tables
    sides = []
    for here in (slice(n_users), slice(n_users, None)):
        parts = [one[here] for one in rows]
        height = len(parts[0])
        side = kernels.xp.empty((len(parts) * height, parts[0].shape[1]), parts[0].dtype)
        for k, part in enumerate(parts):
            side[k * height : (k + 1) * height] = part
        sides.append(side)
    return tuple(sides), (len(tables), tables[0].shape, nodes, [len(side) for side in sides])


def _sides_adjoint(kernels, saved, needs, *d_sides):
    count, shape, nodes, heights = saved
    like = next(side for side in d_sides if side is not None)
    d_sides = [
        kernels.xp.zeros((height, shape[1]), like.dtype) if side is None else side
        for side, height in zip(d_sides, heights, strict=True)
    ]
    gradients = []
    for k in range(count):
        parts = [
            side[k * height // count : (k + 1) * height // count]
            for side, height in zip(d_sides, heights, strict=True)
        ]
        rows = kernels.linear.stack(*parts)
        if nodes is not None:
            (rows,) = kernels.pairs.gather_adjoint(rows[None], nodes, shape[0])
        gradients.append(rows)
    return tuple(gradients)


sides = Op("sides", _sides, _sides_adjoint)


def _reshape(kernels, x, *, shape):
    """The same numbers in another shape."""
    return x.reshape(shape), (x.shape,)


def _reshape_adjoint(kernels, saved, needs, d_out):
    (shape,) = saved
    return (d_out.reshape(shape),)


reshape = Op("reshape", _reshape, _reshape_adjoint)


def _column(kernels, x):
    """The only column of x (n, 1), as (n,)."""
    return x.reshape(-1), ()


def _column_adjoint(kernels, saved, needs, d_out):
    return (d_out.reshape(-1, 1),)


column = Op("column", _column, _column_adjoint)


def _matrices(kernels, x, *, rows):
    """Each row of x (n, rows·d) as a matrix (rows, d): n of them."""
    return tuple(one.reshape(rows, -1) for one in x), (x.shape, x.dtype)


def _matrices_adjoint(kernels, saved, needs, *d_each):
    shape, dtype = saved
    d_x = kernels.xp.zeros(shape, dtype)
    for row, d_one in zip(d_x, d_each, strict=True):
        if d_one is not None:
            row[...] = d_one.reshape(-1)
    return (d_x,)


matrices = Op("matrices", _matrices, _matrices_adjoint)


def _sum_of(kernels, *tables):
    """Σ tables of one shape, added in their order."""
    return kernels.linear.total(*tables), (len(tables),)


def _sum_of_adjoint(kernels, saved, needs, d_out):
    (count,) = saved
    return (d_out,) * count


total = Op("total", _sum_of, _sum_of_adjoint)


def _mean(kernels, *tables):
    """Σ tables / n of n tables of one shape, added in their order."""
    share = 1 / len(tables)
    return kernels.linear.total(*tables) * tables[0].dtype.type(share), (len(tables), share)


def _mean_adjoint(kernels, saved, needs, d_out):
    count, share = saved
    return (d_out * d_out.dtype.type(share),) * count


mean = Op("mean", _mean, _mean_adjoint)


def _couple(kernels, *tables, weights):
    """Σ weight·table."""
    return kernels.linear.total(*_weighed(kernels, tables, weights)), (weights,)


def _weighed(kernels, tables, weights):
    """Each table times its weight; the table itself where that is 1."""
    return [x if w == 1 else x * x.dtype.type(w) for x, w in zip(tables, weights, strict=True)]


def _couple_adjoint(kernels, saved, needs, d_out):
    (weights,) = saved
    return tuple(_weighed(kernels, [d_out] * len(weights), weights))


couple = Op("couple", _couple, _couple_adjoint)
