"""Dense maps of rows: products with matrices, activations, lengths, dropout."""

from __future__ import annotations

from ..autograd import Op, expect


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


def _shift(kernels, x, bias):
    """A bias (d,) added to each row of a table."""
    expect(bias.shape == x.shape[1:], "shift", f"bias {bias.shape} does not fit a table {x.shape}")
    return kernels.linear.shift(x, bias), ()


def _shift_adjoint(kernels, saved, needs, d_out):
    return d_out, kernels.linear.column_sums(d_out) if needs[1] else None


shift = Op("shift", _shift, _shift_adjoint)


def _gram(kernels, x):
    """xᵀ·x."""
    return kernels.linear.gram(x), (x,)


def _gram_adjoint(kernels, saved, needs, d_out):
    return (kernels.linear.gram_adjoint(d_out, *saved),)


gram = Op("gram", _gram, _gram_adjoint)


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


def _normalise(kernels, x, *, form="clamp", epsilon=1e-12):
    """x_n / max(|x_n|, ε) of each row, or with "smooth" x_n / (ε + √(ε + ⟨x_n,x_n⟩))."""
    y, inverse = kernels.normalise.normalise(x, form, epsilon)
    return y, (y, inverse, form, epsilon)


def _normalise_adjoint(kernels, saved, needs, d_out):
    return (kernels.normalise.normalise_adjoint(d_out, *saved),)


normalise = Op("normalise", _normalise, _normalise_adjoint)


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


def _dropout(kernels, x, *, rate, seed, step, stream=0):
    """Entries left out at random, the others scaled so that the mean stays."""
    settings = (rate, seed, step, stream)
    return kernels.dropout.entries(x, *settings), settings


def _dropout_adjoint(kernels, saved, needs, d_out):
    return (kernels.dropout.entries(d_out, *saved),)


dropout = Op("dropout", _dropout, _dropout_adjoint)
