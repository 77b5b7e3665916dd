"""The tape: order, sharing, what is not computed, and clear errors."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.data.dataset import Csr
from pkef_fast.device import device
from pkef_fast.graph.adjacency import adjacency
from pkef_fast.kernels.pairs.reference import index_pairs
from pkef_fast.tape import ops
from pkef_fast.tape.autograd import Op, Tensor, backward, no_grad

CPU = device("cpu")


def leaf(*shape, seed=0, dtype=np.float64):
    data = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return Tensor(data, CPU, requires_grad=True)


def _sum(kernels, x, *, weights):
    return np.asarray(np.sum(x * weights)), (weights,)


def _sum_adjoint(kernels, saved, needs, d_out):
    (weights,) = saved
    return (d_out * weights,)


weighted_sum = Op("weighted_sum", _sum, _sum_adjoint)

PAIRS = index_pairs(np.array([0, 1, -1, 0], np.int32), np.array([2, 3, -1, 3], np.int32), 4)


def all_pairs(users, items, relation, **options):
    """Of Gram matrices, which are symmetric."""
    return ops.all_pairs(ops.gram(users), ops.gram(items), relation, **options)


# User 0 met both items, user 1 the second; not symmetric, so that transposing shows.
GRAPH = adjacency(
    Csr(np.array([0, 2, 3], np.int32), np.array([0, 1, 1], np.int32)), 2, "left", True, np.float64
)
# name, operation on leaves, shapes of the leaves
OPS = [
    ("add", ops.add, [(4, 3), (4, 3)], {}),
    ("scale", ops.scale, [(4, 3)], {"factor": -2.5}),
    ("multiply", ops.multiply, [(4, 3), (4, 3)], {}),
    ("concatenate", ops.concatenate, [(4, 3), (4, 2)], {}),
    ("stack", ops.stack, [(4, 3), (4, 3)], {}),
    ("stack_rows", ops.stack_rows, [(4, 3), (2, 3)], {}),
    ("rows_of", ops.rows_of, [(4, 3), (2, 3)], {"nodes": np.array([0, 3, 4], np.int32)}),
    ("spread", ops.spread, [(4, 3)], {"adjacency": GRAPH}),
    ("layer_sum", ops.layer_sum, [(4, 3)], {"adjacency": GRAPH, "layers": 2}),
    ("layer_sum of none", ops.layer_sum, [(4, 3)], {"adjacency": GRAPH, "layers": 0}),
    ("project", ops.project, [(4, 3), (4, 3)], {}),
    ("affine", ops.affine, [(4, 3), (3, 2), (2,)], {}),
    ("softmax", ops.softmax, [(4, 3)], {}),
    ("mix", ops.mix, [(4, 3), (3, 4, 2)], {}),
    ("a + b", lambda a, b: a + b, [(4, 3), (4, 3)], {}),
    ("a - b", lambda a, b: a - b, [(4, 3), (4, 3)], {}),
    ("a * b", lambda a, b: a * b, [(4, 3), (4, 3)], {}),
    ("0.3 * a - a * 2", lambda a: np.float32(0.3) * a - a * 2, [(4, 3)], {}),
    ("-a", lambda a: -a, [(4, 3)], {}),
    ("no axes", lambda a, b: -a * b + 2 * a - b, [(), ()], {}),
    ("relu", ops.relu, [(4, 3)], {}),
    ("leaky_relu", ops.leaky_relu, [(4, 3)], {"slope": 0.2}),
    ("sigmoid", ops.sigmoid, [(4, 3)], {}),
    ("linear", ops.linear, [(4, 3), (3, 2)], {}),
    ("split_rows", lambda x: ops.concatenate(*ops.split_rows(x, at=2)), [(4, 3)], {}),
    ("split_rows, one read", lambda x: ops.split_rows(x, at=1)[1], [(4, 3)], {}),
    ("pair_sum", ops.pair_sum, [(4, 3)], {"pairs": PAIRS}),
    ("pair_product", ops.pair_product, [(4, 3)], {"pairs": PAIRS}),
    ("reshape", ops.reshape, [(4, 3)], {"shape": (2, 6)}),
    ("bce", ops.bce, [(4,)], {"labels": np.array([1.0, 0.0, 0.3, 1.0])}),
    ("cross_entropy", ops.cross_entropy, [(4, 3)], {"answers": np.array([1, 0, 2, 2])}),
    ("total", ops.total, [(4, 3), (4, 3), (4, 3)], {}),
    ("matrices", lambda x: ops.matrices(x, rows=2)[1], [(3, 6)], {}),
    ("mean", ops.mean, [(4, 3), (4, 3), (4, 3), (4, 3)], {}),
    ("mean of one", ops.mean, [(4, 3)], {}),
    ("shift", ops.shift, [(4, 3), (3,)], {}),
    ("normalise", ops.normalise, [(4, 3)], {}),
    ("normalise, smooth", ops.normalise, [(4, 3)], {"form": "smooth", "epsilon": 1e-3}),
    ("half_squares", ops.half_squares, [(4, 3)], {}),
    ("norm", ops.norm, [(4, 3)], {}),
    ("scale_rows", ops.scale_rows, [(4, 3), (2, 4)], {"k": 1}),
    ("gram", ops.gram, [(4, 3)], {}),
    ("all_pairs", all_pairs, [(4, 3), (5, 3), (2, 3)], {"k": 1, "weight": 0.3}),
    ("met_pairs", ops.met_pairs, [(5,)], {"weight": 0.3}),
    ("shares", ops.shares, [(3,)], {"counts": np.array([[1.0, 0, 5], [0, 0, 0], [2, 2, 1]])}),
    ("dropout", ops.dropout, [(4, 3)], {"rate": 0.4, "seed": 1, "step": 2}),
    ("penalty", ops.penalty, [(4, 3)], {"weights": np.array([0.5, 2.0, 0.0, 1.0])}),
]


@pytest.mark.parametrize("place", ["reference", "cpu"])
@pytest.mark.parametrize(("name", "op", "shapes", "options"), OPS, ids=[one[0] for one in OPS])
def test_each_gradient_is_that_of_central_differences(name, op, shapes, options, place):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape) for shape in shapes]
    there = device(place)

    def value(arrays):
        with no_grad():
            out = op(*(Tensor(a, there) for a in arrays), **options)
        return np.sum(out.data * weights)

    leaves = [Tensor(a, there, requires_grad=True) for a in arrays]
    out = op(*leaves, **options)
    weights = rng.normal(size=out.shape)
    backward(weighted_sum(out, weights=weights))
    for position, tensor in enumerate(leaves):
        direction = rng.normal(size=tensor.shape)
        ends = []
        for h in (1e-6, -1e-6):
            moved = list(arrays)
            moved[position] = moved[position] + h * direction
            ends.append(value(moved))
        numeric = (ends[0] - ends[1]) / 2e-6
        assert np.sum(tensor.grad * direction) == pytest.approx(numeric, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("place", ["reference", "cpu"])
def test_the_norm_of_a_table(place):
    """√(3² + 4²); a table of zeros, and one without rows, have no slope rather than none at all."""
    there = device(place)
    for data, wanted in (([[3.0], [4.0]], 5.0), ([[0.0], [0.0]], 0.0), (np.zeros((0, 2)), 0.0)):
        x = Tensor(np.array(data), there, requires_grad=True)
        length = ops.norm(x)
        assert length.data == wanted and ops.half_squares(x).data == wanted**2 / 2
        backward(length)
        np.testing.assert_allclose(x.grad, x.data / (wanted or 1), rtol=1e-15)


def test_signs_are_the_operations_of_these_names():
    a, b = leaf(2, 3), leaf(2, 3, seed=1)
    for signs, operation in (
        (a + b, ops.add(a, b)),
        (a * b, ops.multiply(a, b)),
        (-2.5 * a, ops.scale(a, factor=-2.5)),
        (a - b, ops.add(a, ops.scale(b, factor=-1))),
    ):
        np.testing.assert_array_equal(signs.data, operation.data)
        assert signs.record.op is operation.record.op
    for wrong in (lambda: a + 1, lambda: 1 - a, lambda: a * np.ones((2, 3)), lambda: "2" * a):
        with pytest.raises(
            TypeError, match=r"unsupported operand|does not support ufuncs|can't multiply"
        ):
            wrong()
    with pytest.raises(TypeError, match=r"unsupported operand|does not support ufuncs"):
        np.ones((2, 3)) * a
    with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(3, 2\) differ"):
        a + leaf(3, 2)


def test_a_tensor_used_twice_gets_the_sum():
    x = leaf(3, 2)
    twice = ops.add(ops.scale(x, factor=2), ops.add(x, x))
    backward(weighted_sum(twice, weights=np.ones((3, 2))))
    np.testing.assert_allclose(x.grad, np.full((3, 2), 4.0))


def test_a_second_backward_replaces_the_gradient():
    x = leaf(3, 2)
    for factor in (2, 5):
        backward(weighted_sum(ops.scale(x, factor=factor), weights=np.ones((3, 2))))
    np.testing.assert_allclose(x.grad, np.full((3, 2), 5.0))


def test_what_no_loss_reads_has_no_gradient_and_no_adjoint_runs():
    calls = []
    spy = Op("spy", lambda k, x: (x * 1, ()), lambda *a: calls.append(1) or (a[-1],))
    x, y = leaf(2, 2), leaf(2, 2, seed=1)
    spy(y)
    backward(weighted_sum(x, weights=np.ones((2, 2))))
    assert y.grad is None
    assert calls == []


def test_no_grad_records_nothing_and_tells_the_forward():
    kept = []

    def forward(kernels, x, *, keep):
        kept.append(keep)
        return x * 1, (x,)

    op = Op("op", forward, lambda *a: (a[-1],))
    x = leaf(2, 2)
    assert op(x).record is not None
    with no_grad():
        out = op(x)
    assert out.record is None
    assert not out.requires_grad
    assert kept == [True, False]
    with pytest.raises(ValueError, match="no_grad"):
        backward(Tensor(np.zeros(()), CPU))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(3, 2\) differ"):
        ops.add(leaf(2, 3), leaf(3, 2))
    with pytest.raises(TypeError, match="project: input 1 is float32, input 0 float64"):
        ops.project(leaf(2, 3), leaf(2, 3, dtype=np.float32))
    with pytest.raises(TypeError, match="scale: input 0 is int64, not a float"):
        ops.scale(Tensor(np.arange(4), CPU), factor=1)
    with pytest.raises(TypeError, match="add: input 1 is a ndarray, not a Tensor"):
        ops.add(leaf(2, 2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="input 1 is on reference, input 0 on cpu"):
        ops.add(leaf(2, 2), Tensor(np.ones((2, 2)), device("reference")))
    with pytest.raises(ValueError, match=r"backward: the loss has shape \(2, 2\)"):
        backward(ops.scale(leaf(2, 2), factor=1))
    with pytest.raises(ValueError, match=r"penalty: weights \(3,\) do not fit a table \(2, 3\)"):
        ops.penalty(leaf(2, 3), weights=np.ones(3))
    with pytest.raises(ValueError, match=r"bce: labels \(3,\) do not fit scores \(2,\)"):
        ops.bce(leaf(2), labels=np.ones(3))
    wrong = Op("wrong", lambda k, x: (np.asarray(x.sum()), ()), lambda *a: (np.ones(7),))
    with pytest.raises(ValueError, match=r"wrong: the adjoint gave \(7,\) for an input of shape"):
        backward(wrong(leaf(2, 2)))
