"""Two more shared bottoms: on the Hadamard product of both sides, and with no hidden layer."""

from __future__ import annotations

from ....evaluate.rankers import RowsRanker
from ....kernels import rank
from ....kernels.experts import Columns
from ....tape import ops
from ....tape.autograd import Tensor
from .coupled import SLOPE, CoupledHead

BLOCK = 1 << 23  # hidden units that ranking holds at a time, over items and a few users


class HadamardBottom(CoupledHead):
    """s_k = m·(h·w_k + t_k), h = LReLU(x·W + b) on x = e_u∘e_v (d wide); literally h = x."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The bottom, unless literally there is none, and the towers."""
        d, shapes = self.config.d, super().shapes()
        if not self.config.literal:
            shapes |= {"bottom.weight": (d, d), "bottom.bias": (d,)}
        for k in range(self.n_behaviors):
            shapes |= {f"tower.{k}.weight": (d, 1), f"tower.{k}.bias": (1,)}
        return shapes

    def scores(self, rows, parameters, pairs, n_users):
        """Pair by pair: a product of both sides is no sum of them."""
        scores = {}
        for k, some in pairs.items():
            h = ops.pair_product(*rows, pairs=some)
            if not self.config.literal:
                h = ops.affine(h, parameters["bottom.weight"], parameters["bottom.bias"])
                h = ops.leaky_relu(h, slope=SLOPE)
            tower = (parameters[f"tower.{k}.{part}"] for part in ("weight", "bias"))
            scores[k] = ops.tower(h, *tower, score_scale=self.config.score_scale)
        return scores

    def ranker(self, tables, parameters, k, n_users, device):
        """A user's score of all items is a network whose first layer is diag(e_u)·W."""
        e, d, m = self.coupled(tables, parameters), self.config.d, self.config.score_scale
        xp, linear = device.xp, device.kernels.linear
        tower, offset = (parameters[f"tower.{k}.{part}"].data for part in ("weight", "bias"))
        bottom = None if self.config.literal else parameters["bottom.weight"].data
        bias = None if self.config.literal else parameters["bottom.bias"].data
        items = xp.ascontiguousarray(e[n_users:])

        def block(users):
            rows = e[device.place(users)]
            if bottom is None:
                out = linear.affine(items, xp.ascontiguousarray((rows * tower[:, 0]).T), None)
                return (out + offset) * out.dtype.type(m)
            weight = (rows.T[:, :, None] * bottom[:, None, :]).reshape(d, -1)
            hidden = linear.affine(items, weight, xp.tile(bias, len(rows)))
            hidden = linear.activate(hidden, "leaky_relu", SLOPE)
            out = linear.affine(hidden.reshape(-1, d), tower, offset)
            return out.reshape(len(items), -1) * out.dtype.type(m)

        width = max(1, BLOCK // max(len(items) * d, 1))
        return RowsRanker(block, device, len(items), width, e.dtype.type)


class LiteralBottom(CoupledHead):
    """s_k = m·(x·w_k + t_k) on x = [e_u ‖ e_v]: literally what the earlier code computes.

    It is a sum of a user's and an item's number, so all users have the same ranking.
    """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A tower of each behaviour."""
        towers = {}
        for k in range(self.n_behaviors):
            towers |= {f"tower.{k}.weight": (2 * self.config.d, 1), f"tower.{k}.bias": (1,)}
        return {**super().shapes(), **towers}

    def scores(self, rows, parameters, pairs, n_users):
        """Each tower is an expert of one column, whose activation has the slope 1: none."""
        e = rows[0]
        xp, dtype = e.device.xp, e.dtype
        weight = ops.concatenate(*(parameters[f"tower.{k}.weight"] for k in pairs))
        nothing = Tensor(xp.zeros(len(pairs), dtype), e.device)
        users, items = ops.affine_sides(e, weight, nothing, n_users=n_users)
        one = Tensor(xp.ones((1, 1), dtype), e.device)
        towers = [part for k in pairs for part in (one, parameters[f"tower.{k}.bias"])]
        terms = tuple((some, Columns(0, 0, at, 1)) for at, some in enumerate(pairs.values()))
        scores = ops.experts(
            users,
            items,
            *towers,
            terms=terms,
            slope=1.0,
            score_scale=self.config.score_scale,
        )
        return dict(zip(pairs, scores, strict=True))

    def scorer(self, tables, parameters, k, n_users):
        """⟨[a_u, 1], [1, b_v]⟩."""
        e, d, m = self.coupled(tables, parameters), self.config.d, self.config.score_scale
        weight, bias = (parameters[f"tower.{k}.{part}"] for part in ("weight", "bias"))
        xp, affine = weight.device.xp, weight.device.kernels.linear.affine
        users = affine(e[:n_users], weight.data[:d], bias.data) * e.dtype.type(m)
        items = affine(e[n_users:], weight.data[d:], None) * e.dtype.type(m)
        return rank.DotScorer(
            xp.concatenate([users, xp.ones_like(users)], axis=1),
            xp.concatenate([xp.ones_like(items), items], axis=1),
        )
