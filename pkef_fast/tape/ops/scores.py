"""Scores of pairs of nodes, from the rows of a batch."""

from __future__ import annotations

from ..autograd import Op, expect
from .rows import total_gradient


def _gather(kernels, *tables, nodes):
    """Rows `nodes` of K tables: all of them (K, B, d), then each (B, d), which are views of it.

    What reads one table takes that: its gradient is then one table's, not K.
    """
    rows = kernels.pairs.gather(tables, nodes)
    return (rows, *rows), (nodes, len(tables[0]))


def _gather_adjoint(kernels, saved, needs, d_all, *d_each):
    gradients = []
    for k, d_rows in enumerate(d_each):
        d_rows = total_gradient(kernels, None if d_all is None else d_all[k], d_rows)
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


def _joined(name: str, how: str) -> Op:
    """Rows of pairs (R, d) from those of nodes (B, d): `kernels.pairs.join`."""

    def forward(kernels, x, *, pairs):
        return kernels.pairs.join(x, pairs, how), (x, pairs)

    def adjoint(kernels, saved, needs, d_out):
        return (kernels.pairs.join_adjoint(d_out, *saved, how),)

    return Op(name, forward, adjoint)


pair_sum, pair_product = _joined("pair_sum", "sum"), _joined("pair_product", "product")


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
