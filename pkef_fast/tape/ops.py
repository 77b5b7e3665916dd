"""The kernels as tape operations, under the kernels' own names.

Each pair stands together: what the forward saves is what the adjoint reads. `add`, `scale` and
`multiply`, which are also the tensors' own `+`, `-` and `*`, come from autograd.py.
"""

from __future__ import annotations

import itertools

from .autograd import Op, expect
from .autograd import add as add
from .autograd import multiply as multiply
from .autograd import scale as scale


def _total(kernels, *gradients):
    """Sum of those that are not None; a new array unless there is only one."""
    there = [gradient for gradient in gradients if gradient is not None]
    if len(there) < 2:
        return there[0] if there else None
    return kernels.linear.total(*there)


# ---- small operations: what models/pkef/pkf.py writes the paper's streams with ---------------


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


def _spread(kernels, x, *, adjacency, back=None):
    """`back` is the transpose where the pattern is not symmetric."""
    n_nodes = len(adjacency.indptr) - 1
    expect(len(x) == n_nodes, "spread", f"a table of {len(x)} rows for {n_nodes} nodes")
    return kernels.propagate.spread(adjacency, x), (adjacency.transposed if back is None else back,)


def _spread_adjoint(kernels, saved, needs, d_out):
    (back,) = saved
    return (kernels.propagate.spread(back, d_out),)


spread = Op("spread", _spread, _spread_adjoint)


def _project(kernels, a, c):
    expect(a.shape == c.shape, "project", f"shapes {a.shape} and {c.shape} differ")
    out, r, inverse = kernels.propagate.project(a, c)
    return out, (a, c, r, inverse)


def _project_adjoint(kernels, saved, needs, d_out):
    return kernels.propagate.project_adjoint(d_out, *saved)


project = Op("project", _project, _project_adjoint)


def _affine(kernels, x, weight, bias):
    expect(
        x.shape[1] == weight.shape[0] and weight.shape[1:] == bias.shape,
        "affine",
        f"x {x.shape}, weight {weight.shape} and bias {bias.shape} do not fit",
    )
    return kernels.linear.affine(x, weight, bias), (x, weight)


def _affine_adjoint(kernels, saved, needs, d_out):
    x, weight = saved
    return kernels.linear.affine_adjoint(d_out, x, weight, with_bias=True, need_x=needs[0])


affine = Op("affine", _affine, _affine_adjoint)


def _softmax(kernels, x):
    y = kernels.gate.softmax(x)
    return y, (y,)


def _softmax_adjoint(kernels, saved, needs, d_out):
    return (kernels.gate.softmax_adjoint(d_out, *saved),)


softmax = Op("softmax", _softmax, _softmax_adjoint)


def _mix(kernels, weights, parts):
    expect(
        weights.shape == parts.shape[1::-1],
        "mix",
        f"weights {weights.shape} do not fit parts {parts.shape}",
    )
    return kernels.gate.mix(weights, parts), (weights, parts)


def _mix_adjoint(kernels, saved, needs, d_out):
    return kernels.gate.mix_adjoint(d_out, *saved)


mix = Op("mix", _mix, _mix_adjoint)


# ---- the fused operations of the trained model ------------------------------------------------


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
        d_p, d_z = d_p_sum, _total(kernels, d_z_sum, d_z)
    return (d_p, _total(kernels, d_z, d_next), *d_weights)


propagate = Op("propagate", _propagate, _propagate_adjoint)


def _gather(kernels, *tables, nodes):
    """Rows `nodes` of K tables: all of them (K, B, d), then each (B, d), which are views of it.

    What reads one table takes that: its gradient is then one table's, not K.
    """
    rows = kernels.pairs.gather(tables, nodes)
    return (rows, *rows), (nodes, len(tables[0]))


def _gather_adjoint(kernels, saved, needs, d_all, *d_each):
    gradients = []
    for k, d_rows in enumerate(d_each):
        d_rows = _total(kernels, None if d_all is None else d_all[k], d_rows)
        if d_rows is not None:
            (d_rows,) = kernels.pairs.gather_adjoint(d_rows[None], *saved)
        gradients.append(d_rows)
    return tuple(gradients)


gather = Op("gather", _gather, _gather_adjoint)


def _dot(kernels, x, *, pairs, score_scale):
    """score_scale·⟨x_l, x_r⟩ of each pair (l, r)."""
    return kernels.pairs.dot(x, pairs, score_scale, None), (x, pairs, score_scale)


def _dot_adjoint(kernels, saved, needs, d_out):
    d_x, _ = kernels.pairs.dot_adjoint(d_out, *saved, None)
    return (d_x,)


dot = Op("dot", _dot, _dot_adjoint)


def _penalty(kernels, x, *, weights):
    """½·Σ_n weights_n·⟨x_n,x_n⟩ over the rows of x (B, d): a float64 scalar."""
    expect(
        weights.shape == x.shape[:1],
        "penalty",
        f"weights {weights.shape} do not fit a table {x.shape}",
    )
    return kernels.pairs.penalty(x, weights), (x, weights)


def _penalty_adjoint(kernels, saved, needs, d_out):
    return (kernels.pairs.penalty_adjoint(d_out, *saved),)


penalty = Op("penalty", _penalty, _penalty_adjoint)


def _bilinear(kernels, x, relation, *, k, pairs, score_scale):
    """score_scale·Σ_a x_la x_ra r_a of each pair, r = relation[k]."""
    expect(
        relation.shape[1:] == x.shape[1:],
        "bilinear",
        f"relation {relation.shape} does not fit a table {x.shape}",
    )
    return kernels.pairs.dot(x, pairs, score_scale, relation[k]), (
        x,
        relation,
        k,
        pairs,
        score_scale,
    )


def _bilinear_adjoint(kernels, saved, needs, d_out):
    x, relation, k, pairs, score_scale = saved
    d_relation = kernels.xp.zeros_like(relation)
    d_x, d_relation[k] = kernels.pairs.dot_adjoint(d_out, x, pairs, score_scale, relation[k])
    return d_x, d_relation


bilinear = Op("bilinear", _bilinear, _bilinear_adjoint)


def _pme(kernels, tables, weight, bias, *, level, k, n_users, pairs, projection_scale, score_scale):
    """Gated scores of behaviour k's pairs (Eq. 17)."""
    n_behaviors, _, d = tables.shape
    expect(
        weight.shape == (2 * d, n_behaviors) and bias.shape == (n_behaviors,),
        "pme",
        f"gate weight {weight.shape} and bias {bias.shape} do not fit tables {tables.shape}",
    )
    gated = getattr(kernels.pme, f"gated_{level}")
    settings = (tables, n_users, k, weight, bias, pairs, projection_scale, score_scale)
    scores, saved = gated(*settings)
    return scores, (level, settings, saved)


def _pme_adjoint(kernels, saved, needs, d_out):
    level, settings, inner = saved
    return getattr(kernels.pme, f"gated_{level}_adjoint")(d_out, *settings, inner)


pme = Op("pme", _pme, _pme_adjoint)


def _unique(kernels, table_j, table_k, *, level, pairs, projection_scale, score_scale):
    """Scores of what behaviour j knows and k does not (Eq. 16, 20)."""
    settings = (table_j, table_k, pairs, projection_scale, score_scale)
    scores, saved = getattr(kernels.pme, f"unique_{level}")(*settings)
    return scores, (level, settings, saved)


def _unique_adjoint(kernels, saved, needs, d_out):
    level, settings, inner = saved
    return getattr(kernels.pme, f"unique_{level}_adjoint")(d_out, *settings, inner)


unique = Op("unique", _unique, _unique_adjoint)


def _bpr(kernels, scores, *, reduction, negatives=1, slots=None):
    """mean or sum of softplus(−(s⁺ − s⁻)) over rows [positives; negatives]: a float64 scalar.

    `slots` are (present, count) of a batch whose shapes are fixed: not all rows are there.
    """
    if slots is None:
        loss, d_scores = kernels.bpr.bpr(scores, reduction, negatives)
    else:
        loss, d_scores = kernels.bpr.bpr_slots(scores, *slots, reduction, negatives)
    return loss, (d_scores,)


def _bpr_adjoint(kernels, saved, needs, d_out):
    (d_scores,) = saved
    return (d_scores * d_out.astype(d_scores.dtype),)


bpr = Op("bpr", _bpr, _bpr_adjoint)


def _softmax_loss(kernels, scores, *, groups, reduction, negatives=1, slots=None):
    """The same against the soft maximum of each group's negatives.

    `groups` are the groups' ends among the positives; with `slots` the slots of a group.
    """
    if slots is None:
        loss, d_scores = kernels.bpr.softmax(scores, groups, reduction, negatives)
    else:
        loss, d_scores = kernels.bpr.softmax_slots(scores, *slots, groups, reduction, negatives)
    return loss, (d_scores,)


softmax_loss = Op("softmax_loss", _softmax_loss, _bpr_adjoint)


def _weigh(kernels, *losses, weights):
    """Σ weight·loss over scalars."""
    total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
    return kernels.xp.asarray(total, dtype="float64"), (weights,)


def _weigh_adjoint(kernels, saved, needs, d_out):
    (weights,) = saved
    return tuple(kernels.xp.asarray(weight * d_out) for weight in weights)


weigh = Op("weigh", _weigh, _weigh_adjoint)


def _weigh_learned(kernels, s, *losses, weights, behaviors):
    """Σ_k w_k·(e^{−s_k}·L_k + s_k/2), L_k the sum of the losses of behaviour k: e^{s_k} stands for
    twice the variance of L_k (Kendall, Gal, Cipolla 2018, for likelihoods of classes).

    s (K,) F; losses () float64, `behaviors` the k of each; weights (K,), only those of behaviours
    with a loss count.
    """
    sums = {}
    for k, loss in zip(behaviors, losses, strict=True):
        sums[k] = loss + sums.get(k, 0.0)
    wide = s.astype("float64")
    shares = {k: weights[k] * kernels.xp.exp(-wide[k]) for k in sums}
    total = sum(shares[k] * loss + 0.5 * weights[k] * wide[k] for k, loss in sums.items())
    return kernels.xp.asarray(total, dtype="float64"), (s, sums, shares, weights, behaviors)


def _weigh_learned_adjoint(kernels, saved, needs, d_out):
    s, sums, shares, weights, behaviors = saved
    d_s = kernels.xp.zeros_like(s)
    for k, loss in sums.items():
        d_s[k] = d_out * (0.5 * weights[k] - shares[k] * loss)
    return d_s, *(kernels.xp.asarray(shares[k] * d_out) for k in behaviors)


weigh_learned = Op("weigh_learned", _weigh_learned, _weigh_learned_adjoint)


# ---- small networks: over pairs, and rerank/learner.py's ---------------------------------------


def _linear(kernels, x, weight):
    expect(
        x.shape[1] == weight.shape[0],
        "linear",
        f"x {x.shape} and weight {weight.shape} do not fit",
    )
    return kernels.linear.affine(x, weight, None), (x, weight)


def _linear_adjoint(kernels, saved, needs, d_out):
    x, weight = saved
    return kernels.linear.affine_adjoint(d_out, x, weight, with_bias=False, need_x=needs[0])[:2]


linear = Op("linear", _linear, _linear_adjoint)


def _activation(kind: str) -> Op:
    """An activation of `kernels.linear`; its adjoint reads the output."""

    def forward(kernels, x, *, slope=0.1):
        y = kernels.linear.activate(x, kind, slope)
        return y, (y, slope)

    def adjoint(kernels, saved, needs, d_out):
        y, slope = saved
        return (kernels.linear.activate_adjoint(d_out, y, kind, slope),)

    return Op(kind, forward, adjoint)


relu, leaky_relu, sigmoid = (_activation(kind) for kind in ("relu", "leaky_relu", "sigmoid"))


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


def _joined(name: str, how: str) -> Op:
    """Rows of pairs (R, d) from those of nodes (B, d): `kernels.pairs.join`."""

    def forward(kernels, x, *, pairs):
        return kernels.pairs.join(x, pairs, how), (x, pairs)

    def adjoint(kernels, saved, needs, d_out):
        return (kernels.pairs.join_adjoint(d_out, *saved, how),)

    return Op(name, forward, adjoint)


pair_sum, pair_product = _joined("pair_sum", "sum"), _joined("pair_product", "product")


def _cross_entropy(kernels, scores, *, answers):
    """Mean over rows of −log softmax(scores)[answer]: a float64 scalar. scores (n, c)."""
    expect(
        len(answers) == len(scores),
        "cross_entropy",
        f"{len(answers)} answers for {len(scores)} rows of scores",
    )
    shares = kernels.gate.softmax(scores)
    rows = kernels.xp.arange(len(answers))
    lowest = kernels.xp.finfo(shares.dtype).tiny
    found = kernels.xp.maximum(shares[rows, answers], lowest).astype("float64")
    return -kernels.xp.log(found).mean(), (shares, answers)


def _cross_entropy_adjoint(kernels, saved, needs, d_out):
    shares, answers = saved
    d_scores = shares.copy()
    d_scores[kernels.xp.arange(len(answers)), answers] -= 1
    return (d_scores * (d_out / len(answers)).astype(shares.dtype),)


cross_entropy = Op("cross_entropy", _cross_entropy, _cross_entropy_adjoint)


# ---- rows of length one: CRGCN, GNMR, MBGCN ------------------------------------------------------


def _normalise(kernels, x, *, form="clamp", epsilon=1e-12):
    """x_n / max(|x_n|, ε) of each row, or with "smooth" x_n / (ε + √(ε + ⟨x_n,x_n⟩))."""
    y, inverse = kernels.normalise.normalise(x, form, epsilon)
    return y, (y, inverse, form, epsilon)


def _normalise_adjoint(kernels, saved, needs, d_out):
    return (kernels.normalise.normalise_adjoint(d_out, *saved),)


normalise = Op("normalise", _normalise, _normalise_adjoint)


# ---- means of layers, penalties on whole tables and matrices: MB-CGCN, RGCN, CRGCN ---------------


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


def _shift(kernels, x, bias):
    """A bias (d,) added to each row of a table."""
    expect(bias.shape == x.shape[1:], "shift", f"bias {bias.shape} does not fit a table {x.shape}")
    return kernels.linear.shift(x, bias), ()


def _shift_adjoint(kernels, saved, needs, d_out):
    return d_out, kernels.linear.column_sums(d_out) if needs[1] else None


shift = Op("shift", _shift, _shift_adjoint)


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


def _half_squares(kernels, x):
    """½·⟨x,x⟩ over all of a table x (n, d): a float64 scalar."""
    ones = kernels.xp.ones(len(x), x.dtype)
    return kernels.pairs.penalty(x, ones), (x, ones)


half_squares = Op("half_squares", _half_squares, _penalty_adjoint)


def _norm(kernels, x):
    """√⟨x,x⟩ over all of a table x (n, d): a float64 scalar. A zero table passes no gradient."""
    ones = kernels.xp.ones(len(x), x.dtype)
    length = kernels.xp.asarray(kernels.xp.sqrt(2 * kernels.pairs.penalty(x, ones)))
    return length, (x, ones, length)


def _norm_adjoint(kernels, saved, needs, d_out):
    x, ones, length = saved
    # where, not if: the host does not ask a device for the length
    there = length > 0
    share = kernels.xp.where(there, d_out / kernels.xp.where(there, length, 1), 0)
    return (kernels.pairs.penalty_adjoint(kernels.xp.asarray(share), x, ones),)


norm = Op("norm", _norm, _norm_adjoint)


# ---- losses on labels: NeuMF, NMTR ---------------------------------------------------------------


def _bce(kernels, scores, *, labels, slots=None):
    """Mean cross-entropy of labels in [0, 1] and σ(scores): a float64 scalar.

    `slots` are (present, count) of a batch whose shapes are fixed: not all rows are there.
    """
    expect(
        labels.shape == scores.shape,
        "bce",
        f"labels {labels.shape} do not fit scores {scores.shape}",
    )
    if slots is None:
        loss, d_scores = kernels.bce.bce(scores, labels)
    else:
        loss, d_scores = kernels.bce.bce_slots(scores, labels, *slots)
    return loss, (d_scores,)


bce = Op("bce", _bce, _bpr_adjoint)


def _reshape(kernels, x, *, shape):
    """The same numbers in another shape."""
    return x.reshape(shape), (x.shape,)


def _reshape_adjoint(kernels, saved, needs, d_out):
    (shape,) = saved
    return (d_out.reshape(shape),)


reshape = Op("reshape", _reshape, _reshape_adjoint)


# ---- behaviours of a node, users apart from items: GNMR ------------------------------------------


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


def _slots(kernels, x, *parameters):
    """x_k·W_k + b_k of each behaviour's rows, of x (K·n, d) and W_1, b_1, …, W_K, b_K: (K·n, M)."""
    weights, biases = parameters[::2], parameters[1::2]
    n = len(x) // len(weights)
    p = kernels.xp.empty((len(x), weights[0].shape[1]), x.dtype)
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        here = slice(k * n, (k + 1) * n)
        p[here] = kernels.linear.affine(x[here], weight, bias)
    return p, (x, weights)


def _slots_adjoint(kernels, saved, needs, d_out):
    x, weights = saved
    n, d_x, gradients = len(x) // len(weights), kernels.xp.empty_like(x), []
    for k, weight in enumerate(weights):
        here = slice(k * n, (k + 1) * n)
        d_x[here], *others = kernels.linear.affine_adjoint(d_out[here], x[here], weight)
        gradients += others
    return d_x, *gradients


slots = Op("slots", _slots, _slots_adjoint)


def _memory(kernels, x, p, R):
    """Σ_m relu(p_m)·(x R_m), row by row; x (r, d), p (r, M), R (M, d, d)."""
    expect(
        p.shape == (len(x), len(R)) and R.shape[1:] == (x.shape[1],) * 2,
        "memory",
        f"x {x.shape}, p {p.shape} and R {R.shape} do not fit",
    )
    return kernels.attention.memory(x, p, R), (x, p, R)


def _memory_adjoint(kernels, saved, needs, d_out):
    return kernels.attention.memory_adjoint(d_out, *saved)


memory = Op("memory", _memory, _memory_adjoint)


def _attend(kernels, qkv, *, behaviors, heads):
    """o_k = Σ_j w_kj v_j, w = softmax over j of ⟨q_k,k_j⟩/h, head by head; qkv (K·n, 3d)."""
    return kernels.attention.attend(qkv, behaviors, heads), (qkv, behaviors, heads)


def _attend_adjoint(kernels, saved, needs, d_out):
    return (kernels.attention.attend_adjoint(d_out, *saved),)


attend = Op("attend", _attend, _attend_adjoint)


def _pool(kernels, g, o, *, behaviors):
    """Σ_k w_k o_k, w = softmax over k of g_k; g (K·n, 1), o (K·n, d)."""
    return kernels.attention.pool(g, o, behaviors), (g, o, behaviors)


def _pool_adjoint(kernels, saved, needs, d_out):
    return kernels.attention.pool_adjoint(d_out, *saved)


pool = Op("pool", _pool, _pool_adjoint)


def _column(kernels, x):
    """The only column of x (n, 1), as (n,)."""
    return x.reshape(-1), ()


def _column_adjoint(kernels, saved, needs, d_out):
    return (d_out.reshape(-1, 1),)


column = Op("column", _column, _column_adjoint)


def _hinge(kernels, scores, *, count, negatives=1, present=None):
    """Σ max(0, 1 − (s⁺ − s⁻)) / count over rows [positives; negatives]: a float64 scalar.

    `present` is of a batch whose shapes are fixed: not all rows are there; `count` is then () int32
    on the device.
    """
    if present is None:
        loss, d_scores = kernels.bpr.hinge(scores, count, negatives)
    else:
        loss, d_scores = kernels.bpr.hinge_slots(scores, present, count, negatives)
    return loss, (d_scores,)


hinge = Op("hinge", _hinge, _bpr_adjoint)


# ---- GHCF and MBGCN: rows by factors, Gram matrices, all pairs, counts, dropout -----------------


def _scale_rows(kernels, x, factors, *, k=0):
    """f_n·x_n of the rows of x (n, d), f = factors[k] of factors (K, n)."""
    expect(
        factors.shape[1:] == x.shape[:1],
        "scale_rows",
        f"factors {factors.shape} do not fit a table {x.shape}",
    )
    own, parts = factors[k].reshape(-1, 1), x.reshape(1, *x.shape)
    return kernels.gate.mix(own, parts), (own, parts, factors.shape, k)


def _scale_rows_adjoint(kernels, saved, needs, d_out):
    own, parts, shape, k = saved
    d_own, d_parts = kernels.gate.mix_adjoint(d_out, own, parts)
    if not needs[1]:
        return d_parts[0], None
    d_factors = kernels.xp.zeros(shape, own.dtype)
    d_factors[k] = d_own.reshape(-1)
    return d_parts[0], d_factors


scale_rows = Op("scale_rows", _scale_rows, _scale_rows_adjoint)


def _gram(kernels, x):
    """xᵀ·x."""
    return kernels.linear.gram(x), (x,)


def _gram_adjoint(kernels, saved, needs, d_out):
    return (kernels.linear.gram_adjoint(d_out, *saved),)


gram = Op("gram", _gram, _gram_adjoint)


def _all_pairs(kernels, users, items, relation, *, k, weight):
    """Σ weight·s² over all pairs of two sides by their Gram matrices, r = relation[k]."""
    loss, *gradients = kernels.allpairs.everything(users, items, relation[k], weight)
    return loss, (*gradients, relation.shape, k)


def _all_pairs_adjoint(kernels, saved, needs, d_out):
    d_users, d_items, d_row, shape, k = saved
    share = d_out.astype(d_row.dtype)
    d_relation = kernels.xp.zeros(shape, d_row.dtype)
    d_relation[k] = share * d_row
    return share * d_users, share * d_items, d_relation


all_pairs = Op("all_pairs", _all_pairs, _all_pairs_adjoint)


def _met_pairs(kernels, scores, *, weight):
    """Σ (1 − weight)·s² − 2·s: what pairs that met change of the sum over all pairs."""
    loss, d_scores = kernels.allpairs.met(scores, weight)
    return loss, (d_scores,)


met_pairs = Op("met_pairs", _met_pairs, _bpr_adjoint)


def _shares(kernels, weights, *, counts):
    """Each row of counts (n, K) times weights (K,), over its sum."""
    expect(
        weights.shape == counts.shape[1:],
        "shares",
        f"weights {weights.shape} do not fit counts {counts.shape}",
    )
    y = kernels.gate.shares(counts, weights)
    return y, (counts, y, weights)


def _shares_adjoint(kernels, saved, needs, d_out):
    return (kernels.gate.shares_adjoint(d_out, *saved),)


shares = Op("shares", _shares, _shares_adjoint)


def _dropout(kernels, x, *, rate, seed, step, stream=0):
    """Entries left out at random, the others scaled so that the mean stays."""
    settings = (rate, seed, step, stream)
    return kernels.dropout.entries(x, *settings), settings


def _dropout_adjoint(kernels, saved, needs, d_out):
    return (kernels.dropout.entries(d_out, *saved),)


dropout = Op("dropout", _dropout, _dropout_adjoint)


# ---- heads on coupled inputs: models/pkef/heads ------------------------------------------------


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


def _affine_sides(kernels, x, weight, bias, *, n_users):
    """[x_u ‖ x_v]·weight + bias by side: (x_u·W_a + bias, x_v·W_b) of the rows of users, items."""
    d, affine = x.shape[1], kernels.linear.affine
    expect(
        len(weight) == 2 * d and weight.shape[1:] == bias.shape,
        "affine_sides",
        f"weight {weight.shape} and bias {bias.shape} do not fit two rows of {x.shape}",
    )
    left = affine(x[:n_users], weight[:d], bias)
    return (left, affine(x[n_users:], weight[d:], None)), (x, weight, n_users)


def _affine_sides_adjoint(kernels, saved, needs, d_left, d_right):
    x, weight, n_users = saved
    d, adjoint, stack = x.shape[1], kernels.linear.affine_adjoint, kernels.linear.stack
    d_users, d_upper, d_bias = adjoint(d_left, x[:n_users], weight[:d], True, needs[0])
    d_items, d_lower, _ = adjoint(d_right, x[n_users:], weight[d:], False, needs[0])
    return stack(d_users, d_items) if needs[0] else None, stack(d_upper, d_lower), d_bias


affine_sides = Op("affine_sides", _affine_sides, _affine_sides_adjoint)


def _experts(kernels, users, items, *towers, terms, slope, score_scale):
    """Scores of one behaviour's pairs after the other; see `kernels.experts`.

    `terms` are (pairs, columns) of each, `towers` a weight (w, 1) and a bias (1,) of each. A bias
    gets no gradient.
    """
    scores, kept = [], []
    for (pairs, columns), weight, bias in zip(terms, towers[::2], towers[1::2], strict=True):
        settings = (weight.reshape(-1), bias, pairs, columns, slope, score_scale)
        found, saved = kernels.experts.mixture(users, items, *settings)
        scores.append(found)
        kept.append((settings, saved))
    return tuple(scores), (users, items, kept)


def _experts_adjoint(kernels, saved, needs, *d_scores):
    users, items, kept = saved
    d_users, d_items = kernels.xp.zeros_like(users), kernels.xp.zeros_like(items)
    d_towers = []
    for (settings, inner), d_score in zip(kept, d_scores, strict=True):
        if d_score is None:
            d_towers += [None, None]
            continue
        d_tower = kernels.experts.mixture_adjoint(
            d_score, users, items, *settings, inner, d_users, d_items
        )
        d_towers += [d_tower.reshape(-1, 1), None]
    return d_users, d_items, *d_towers


experts = Op("experts", _experts, _experts_adjoint)


def _tower(kernels, h, weight, bias, *, score_scale):
    """score_scale·(h·weight + bias), one number a row: weight (w, 1). The bias gets no gradient."""
    out = kernels.linear.affine(h, weight, bias).reshape(-1)
    return out * h.dtype.type(score_scale), (h, weight, score_scale)


def _tower_adjoint(kernels, saved, needs, d_out):
    h, weight, score_scale = saved
    d_out = d_out.reshape(-1, 1) * h.dtype.type(score_scale)
    d_h, d_weight, _ = kernels.linear.affine_adjoint(d_out, h, weight, False, needs[0])
    return d_h, d_weight, None


tower = Op("tower", _tower, _tower_adjoint)


def _turn(kernels, x, relation, *, n_users):
    """Rows of users times relation (d, d), rows of items as they are."""
    y = x.copy()
    y[:n_users] = kernels.linear.affine(x[:n_users], relation, None)
    return y, (x, relation, n_users)


def _turn_adjoint(kernels, saved, needs, d_out):
    x, relation, n_users = saved
    d_x, adjoint = d_out.copy(), kernels.linear.affine_adjoint
    d_x[:n_users], d_relation, _ = adjoint(d_out[:n_users], x[:n_users], relation, with_bias=False)
    return d_x, d_relation


turn = Op("turn", _turn, _turn_adjoint)
