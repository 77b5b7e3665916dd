"""pme in Numba. Contract: `__init__.py`.

Forward: a node stage (scalars a node), then a pair stage (scalars a pair). Adjoint: the pair stage
turns score gradients into weights a pair; then every node is summed by one owner over the pairs it
takes part in, and node-level terms follow. No atomics: results do not depend on threads.
"""

import numba as nb
import numpy as np

from ..buffers import empty_like
from ..jit import FAST, parallel, serial
from ..pairs.cpu import dot, dot_adjoint
from . import EPSILON

__all__ = [
    "gated_interaction",
    "gated_interaction_adjoint",
    "gated_side",
    "gated_side_adjoint",
    "unique_interaction",
    "unique_interaction_adjoint",
    "unique_side",
    "unique_side_adjoint",
]

# Gate gradients are summed over this many pieces of nodes, whatever the number of threads.
PIECES = 32


@serial(fastmath=FAST)
def _slot(j, k):
    """Gate slot of behaviour j under gate k: own first, then the others in order."""
    if j == k:
        return 0
    return j + 1 if j < k else j


@parallel(fastmath=FAST)
def _node_stage(tables, n_users, k, weight, projection_scale, sides, norm, c, logits):
    """norm = ⟨Z^k,Z^k⟩ + ε, c = t·⟨Z^j,Z^k⟩/norm (1 in slot 0), the node's part of the logits."""
    n_behaviors, n_nodes, d = tables.shape
    for n in nb.prange(n_nodes):
        own = tables[k, n]
        if sides:
            total = own.dtype.type(EPSILON)
            for a in range(d):
                total += own[a] * own[a]
            norm[n] = total
            for j in range(n_behaviors):
                if j == k:
                    c[n, 0] = 1
                else:
                    total = own.dtype.type(0)
                    for a in range(d):
                        total += tables[j, n, a] * own[a]
                    c[n, _slot(j, k)] = projection_scale * total / norm[n]
        first = 0 if n < n_users else d
        for s in range(n_behaviors):
            total = own.dtype.type(0)
            for a in range(d):
                total += own[a] * weight[first + a, s]
            logits[n, s] = total


@serial(fastmath=FAST)
def _softmax_row(x, y, bias, out):
    top = x[0] + y[0] + bias[0]
    for s in range(1, len(bias)):
        top = max(top, x[s] + y[s] + bias[s])
    total = out.dtype.type(0)
    for s in range(len(bias)):
        out[s] = np.exp(x[s] + y[s] + bias[s] - top)
        total += out[s]
    for s in range(len(bias)):
        out[s] /= total


@serial(fastmath=FAST)
def _softmax_adjoint_row(gates, d_gates):
    """d_gates becomes the gradient of the logits."""
    mean = gates.dtype.type(0)
    for s in range(len(gates)):
        mean += gates[s] * d_gates[s]
    for s in range(len(gates)):
        d_gates[s] = gates[s] * (d_gates[s] - mean)


@parallel(fastmath=FAST)
def _side_pairs(own, left, right, c, logits, bias, score_scale, gates, products, mixes, scores):
    for r in nb.prange(len(left)):
        u, v = left[r], right[r]
        if u < 0:
            gates[r] = 0
            products[r] = mixes[r] = scores[r] = 0
            continue
        total = own.dtype.type(0)
        for a in range(own.shape[1]):
            total += own[u, a] * own[v, a]
        products[r] = total
        _softmax_row(logits[u], logits[v], bias, gates[r])
        mix = own.dtype.type(0)
        for s in range(len(bias)):
            mix += gates[r, s] * c[u, s] * c[v, s]
        mixes[r] = mix
        scores[r] = score_scale * total * mix


@parallel(fastmath=FAST)
def _side_pairs_adjoint(
    d_scores, left, right, c, score_scale, gates, products, mixes, w, d_logits, d_c
):
    """Of each pair: weight of the inner product, gradients of logits and of both ends' c."""
    for r in nb.prange(len(left)):
        u, v = left[r], right[r]
        if u < 0:
            continue
        g = score_scale * d_scores[r]
        w[r] = g * mixes[r]
        g *= products[r]
        for s in range(gates.shape[1]):
            d_logits[r, s] = g * c[u, s] * c[v, s]
            d_c[r, 0, s] = g * gates[r, s] * c[v, s]
            d_c[r, 1, s] = g * gates[r, s] * c[u, s]
        _softmax_adjoint_row(gates[r], d_logits[r])


@parallel(fastmath=FAST)
def _owner_side(
    tables,
    n_users,
    k,
    weight,
    projection_scale,
    left,
    right,
    ptr,
    slots,
    norm,
    c,
    w,
    d_logits,
    d_c,
    node_logits,
    out,
):
    n_behaviors, n_nodes, d = tables.shape
    count = len(left)
    for n in nb.prange(n_nodes):
        sums = np.zeros(n_behaviors, c.dtype)
        for j in range(n_behaviors):
            for a in range(d):
                out[j, n, a] = 0
        for s in range(n_behaviors):
            node_logits[n, s] = 0
        own, d_own = tables[k, n], out[k, n]
        for i in range(ptr[n], ptr[n + 1]):
            slot = slots[i]
            end = 0 if slot < count else 1
            pair = slot - end * count
            partner = left[pair] if end else right[pair]
            for a in range(d):
                d_own[a] += w[pair] * tables[k, partner, a]
            for s in range(n_behaviors):
                node_logits[n, s] += d_logits[pair, s]
                sums[s] += d_c[pair, end, s]
        if ptr[n] == ptr[n + 1]:
            continue
        first = 0 if n < n_users else d
        for a in range(d):
            for s in range(n_behaviors):
                d_own[a] += node_logits[n, s] * weight[first + a, s]
        for j in range(n_behaviors):
            if j != k:
                s = _slot(j, k)
                x = projection_scale * sums[s] / norm[n]
                y = 2 * sums[s] * c[n, s] / norm[n]
                for a in range(d):
                    out[j, n, a] = x * own[a]
                    d_own[a] += x * tables[j, n, a] - y * own[a]


@parallel(fastmath=FAST)
def _gate_pieces(own, n_users, node_logits, d_weight, d_bias):
    """Gate gradients over pieces of nodes; each pair's logit gradient is met at its user."""
    n_nodes, d = own.shape
    pieces = len(d_bias)
    for piece in nb.prange(pieces):
        for n in range(piece * n_nodes // pieces, (piece + 1) * n_nodes // pieces):
            first = 0 if n < n_users else d
            for s in range(node_logits.shape[1]):
                g = node_logits[n, s]
                if n < n_users:
                    d_bias[piece, s] += g
                for a in range(d):
                    d_weight[piece, first + a, s] += own[n, a] * g


def _gate_gradients(own, n_users, node_logits, weight, bias):
    d_weight = np.zeros((PIECES, *weight.shape), own.dtype)
    d_bias = np.zeros((PIECES, *bias.shape), own.dtype)
    _gate_pieces(own, n_users, node_logits, d_weight, d_bias)
    return d_weight.sum(axis=0), d_bias.sum(axis=0)


def _nodes(tables, n_users, k, weight, projection_scale, sides):
    n_behaviors, n_nodes, _ = tables.shape
    norm = np.empty(n_nodes, tables.dtype)
    c, logits = np.empty((2, n_nodes, n_behaviors), tables.dtype)
    _node_stage(
        tables, n_users, k, weight, tables.dtype.type(projection_scale), sides, norm, c, logits
    )
    return norm, c, logits


def gated_side(tables, n_users, k, weight, bias, pairs, projection_scale, score_scale):
    """Gated scores of the pairs, experts projected for users and items apart."""
    norm, c, logits = _nodes(tables, n_users, k, weight, projection_scale, True)
    count = len(pairs.left)
    products, mixes, scores = np.empty((3, count), tables.dtype)
    gates = np.empty((count, len(bias)), tables.dtype)
    _side_pairs(
        tables[k],
        pairs.left,
        pairs.right,
        c,
        logits,
        bias,
        tables.dtype.type(score_scale),
        gates,
        products,
        mixes,
        scores,
    )
    return scores, (gates, norm, c, products, mixes)


def gated_side_adjoint(
    d_scores, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale, saved
):
    """(d_tables, d_weight, d_bias) of `gated_side`."""
    gates, norm, c, products, mixes = saved
    w = np.empty_like(d_scores)
    d_logits = np.empty_like(gates)
    d_c = np.empty((len(gates), 2, len(bias)), gates.dtype)
    _side_pairs_adjoint(
        d_scores,
        pairs.left,
        pairs.right,
        c,
        tables.dtype.type(score_scale),
        gates,
        products,
        mixes,
        w,
        d_logits,
        d_c,
    )
    d_tables = empty_like(tables)
    node_logits = np.empty_like(c)
    _owner_side(
        tables,
        n_users,
        k,
        weight,
        tables.dtype.type(projection_scale),
        *pairs,
        norm,
        c,
        w,
        d_logits,
        d_c,
        node_logits,
        d_tables,
    )
    return d_tables, *_gate_gradients(tables[k], n_users, node_logits, weight, bias)


@parallel(fastmath=FAST)
def _unique_nodes(own_j, own_k, projection_scale, c, norm, out):
    for n in nb.prange(len(own_j)):
        jk = own_j.dtype.type(0)
        kk = own_j.dtype.type(EPSILON)
        for a in range(own_j.shape[1]):
            jk += own_j[n, a] * own_k[n, a]
            kk += own_k[n, a] * own_k[n, a]
        norm[n] = kk
        c[n] = jk / kk
        for a in range(own_j.shape[1]):
            out[n, a] = projection_scale * (own_j[n, a] - c[n] * own_k[n, a])


@parallel(fastmath=FAST)
def _unique_nodes_adjoint(d_unique, own_j, own_k, projection_scale, c, norm, d_j, d_k):
    for n in nb.prange(len(own_j)):
        x = own_j.dtype.type(0)
        for a in range(own_j.shape[1]):
            x += d_unique[n, a] * own_k[n, a]
        x *= -projection_scale / norm[n]
        for a in range(own_j.shape[1]):
            g = projection_scale * d_unique[n, a]
            d_j[n, a] = g + x * own_k[n, a]
            d_k[n, a] = x * own_j[n, a] - c[n] * (g + 2 * x * own_k[n, a])


def unique_side(table_j, table_k, pairs, projection_scale, score_scale):
    """Scores of what j's tables have beyond k's, users and items apart."""
    c, norm = np.empty((2, len(table_j)), table_j.dtype)
    unique = empty_like(table_j)
    _unique_nodes(table_j, table_k, table_j.dtype.type(projection_scale), c, norm, unique)
    return dot(unique, pairs, score_scale), (unique, c, norm)


def unique_side_adjoint(d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved):
    """(d_j, d_k) of `unique_side`."""
    unique, c, norm = saved
    d_unique, _ = dot_adjoint(d_scores, unique, pairs, score_scale)
    d_j, d_k = empty_like(table_j), empty_like(table_k)
    projection_scale = table_j.dtype.type(projection_scale)
    _unique_nodes_adjoint(d_unique, table_j, table_k, projection_scale, c, norm, d_j, d_k)
    return d_j, d_k


@parallel(fastmath=FAST)
def _interaction_pairs(tables, k, left, right, sums, roots, cosines):
    """Of each pair: Σ_d q^j, √(⟨q^j,q^j⟩+ε) of every j, cos(q^j, q^k) of every j ≠ k."""
    n_behaviors, _, d = tables.shape
    for r in nb.prange(len(left)):
        u, v = left[r], right[r]
        if u < 0:
            sums[r] = cosines[r] = 0
            roots[r] = 1
            continue
        for j in range(n_behaviors):
            total = tables.dtype.type(0)
            square = tables.dtype.type(EPSILON)
            both = tables.dtype.type(0)
            for a in range(d):
                q = tables[j, u, a] * tables[j, v, a]
                total += q
                square += q * q
                both += q * tables[k, u, a] * tables[k, v, a]
            sums[r, j] = total
            roots[r, j] = np.sqrt(square)
            cosines[r, j] = both
        for j in range(n_behaviors):
            cosines[r, j] /= roots[r, j] * roots[r, k]


@parallel(fastmath=FAST)
def _interaction_gates(
    k, left, right, logits, bias, projection_scale, score_scale, sums, cosines, gates, mixes, scores
):
    for r in nb.prange(len(left)):
        if left[r] < 0:
            gates[r] = 0
            mixes[r] = scores[r] = 0
            continue
        _softmax_row(logits[left[r]], logits[right[r]], bias, gates[r])
        mix = gates[r, 0]
        for j in range(len(bias)):
            if j != k:
                mix += projection_scale * gates[r, _slot(j, k)] * cosines[r, j]
        mixes[r] = mix
        scores[r] = score_scale * sums[r, k] * mix


@parallel(fastmath=FAST)
def _owner_interaction(
    tables,
    k,
    left,
    right,
    ptr,
    slots,
    flat,
    across,
    along,
    n_users,
    weight,
    d_logits,
    node_logits,
    out,
):
    """Every node's sum of partner∘d_q, where d_q^j = flat_j + across_j·q^k + along_j·q^j for j ≠ k
    and d_q^k = flat_k + Σ_j across_j·q^j + along_k·q^k; and of the logits' gradients, if any."""
    n_behaviors, n_nodes, d = tables.shape
    count = len(left)
    for n in nb.prange(n_nodes):
        for j in range(n_behaviors):
            for a in range(d):
                out[j, n, a] = 0
        for s in range(node_logits.shape[1]):
            node_logits[n, s] = 0
        d_own = out[k, n]
        for i in range(ptr[n], ptr[n + 1]):
            slot = slots[i]
            pair = slot if slot < count else slot - count
            partner = right[pair] if slot < count else left[pair]
            x, y = flat[pair, k], along[pair, k]
            for a in range(d):
                p = tables[k, partner, a]
                d_own[a] += p * (x + y * p * tables[k, n, a])
            for j in range(n_behaviors):
                if j != k:
                    x, y, z = flat[pair, j], along[pair, j], across[pair, j]
                    for a in range(d):
                        p = tables[j, partner, a]
                        q = p * tables[j, n, a]
                        p_own = tables[k, partner, a]
                        out[j, n, a] += p * (x + y * q + z * p_own * tables[k, n, a])
                        d_own[a] += p_own * z * q
            for s in range(node_logits.shape[1]):
                node_logits[n, s] += d_logits[pair, s]
        first = 0 if n < n_users else d
        for s in range(node_logits.shape[1]):
            for a in range(d):
                d_own[a] += node_logits[n, s] * weight[first + a, s]


def _interactions(tables, k, pairs):
    sums, roots, cosines = np.empty((3, len(pairs.left), len(tables)), tables.dtype)
    _interaction_pairs(tables, k, pairs.left, pairs.right, sums, roots, cosines)
    return sums, roots, cosines


def _cosine_weights(d_cosines, k, roots, cosines):
    """(across, along) of the gradient of the cosines; column k of d_cosines is not read."""
    d_cosines = d_cosines.copy()
    d_cosines[:, k] = 0
    own = roots[:, k : k + 1]
    across = d_cosines / (roots * own)
    pull = d_cosines * cosines
    along = -pull / (roots * roots)
    along[:, k] = -pull.sum(axis=1) / (own * own)[:, 0]
    return across, along


def gated_interaction(tables, n_users, k, weight, bias, pairs, projection_scale, score_scale):
    """Gated scores of the pairs, experts projected as vectors of the pair."""
    _, _, logits = _nodes(tables, n_users, k, weight, projection_scale, False)
    sums, roots, cosines = _interactions(tables, k, pairs)
    count = len(pairs.left)
    gates = np.empty((count, len(bias)), tables.dtype)
    mixes, scores = np.empty((2, count), tables.dtype)
    f = tables.dtype.type
    _interaction_gates(
        k,
        pairs.left,
        pairs.right,
        logits,
        bias,
        f(projection_scale),
        f(score_scale),
        sums,
        cosines,
        gates,
        mixes,
        scores,
    )
    return scores, (gates, sums, roots, cosines, mixes)


def gated_interaction_adjoint(
    d_scores, tables, n_users, k, weight, bias, pairs, projection_scale, score_scale, saved
):
    """(d_tables, d_weight, d_bias) of `gated_interaction`."""
    gates, sums, roots, cosines, mixes = saved
    f = tables.dtype.type
    others = [j for j in range(len(tables)) if j != k]
    w = d_scores * f(score_scale)
    flat = np.zeros_like(sums)
    flat[:, k] = w * mixes
    w = w * sums[:, k]
    d_gates = np.empty_like(gates)
    d_gates[:, 0] = w
    d_cosines = np.zeros_like(cosines)
    for slot, j in enumerate(others, 1):
        d_gates[:, slot] = w * f(projection_scale) * cosines[:, j]
        d_cosines[:, j] = w * f(projection_scale) * gates[:, slot]
    d_logits = gates * (d_gates - np.sum(gates * d_gates, axis=1, keepdims=True))
    across, along = _cosine_weights(d_cosines, k, roots, cosines)
    d_tables = empty_like(tables)
    node_logits = np.empty((tables.shape[1], len(bias)), tables.dtype)
    _owner_interaction(
        tables, k, *pairs, flat, across, along, n_users, weight, d_logits, node_logits, d_tables
    )
    return d_tables, *_gate_gradients(tables[k], n_users, node_logits, weight, bias)


def unique_interaction(table_j, table_k, pairs, projection_scale, score_scale):
    """m·(Σ q^j − t·cos(q^j, q^k)·Σ q^k) of each pair."""
    tables = np.stack([table_j, table_k])
    sums, roots, cosines = _interactions(tables, 1, pairs)
    f = table_j.dtype.type
    scores = f(score_scale) * (sums[:, 0] - f(projection_scale) * cosines[:, 0] * sums[:, 1])
    return scores, (tables, sums, roots, cosines)


def unique_interaction_adjoint(
    d_scores, table_j, table_k, pairs, projection_scale, score_scale, saved
):
    """(d_j, d_k) of `unique_interaction`."""
    tables, sums, roots, cosines = saved
    f = table_j.dtype.type
    w = d_scores * f(score_scale)
    flat = np.stack([w, -w * f(projection_scale) * cosines[:, 0]], axis=1)
    d_cosines = np.zeros_like(cosines)
    d_cosines[:, 0] = -w * f(projection_scale) * sums[:, 1]
    across, along = _cosine_weights(d_cosines, 1, roots, cosines)
    d_tables = empty_like(tables)
    nothing = np.empty((tables.shape[1], 0), tables.dtype)
    _owner_interaction(
        tables, 1, *pairs, flat, across, along, 0, nothing, nothing, nothing, d_tables
    )
    return d_tables[0], d_tables[1]
