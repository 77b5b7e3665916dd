"""Losses of scores, and their weighted sums; each makes the gradient along with the loss."""

from __future__ import annotations

from ..autograd import Op, expect


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


def _met_pairs(kernels, scores, *, weight):
    """Σ (1 − weight)·s² − 2·s: what pairs that met change of the sum over all pairs."""
    loss, d_scores = kernels.allpairs.met(scores, weight)
    return loss, (d_scores,)


met_pairs = Op("met_pairs", _met_pairs, _bpr_adjoint)


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
