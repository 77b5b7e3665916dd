"""Two more shared bottoms: on the Hadamard product of both sides, and with no hidden layer."""

from __future__ import annotations

from ....kernels import rank
from ....kernels.experts import Columns
from ....tape import ops
from ....tape.autograd import Tensor
from ...network_ranker import NetworkRanker, Product, Tower
from .coupled import SLOPE, CoupledHead


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

    def scorer(self, tables, parameters, k, n_users):
        """Of the literal form alone, ⟨[e_u∘w, 1], [e_v, t]⟩; the other has no such tables."""
        e, dtype = self.coupled(tables, parameters), self.config.dtype.type
        tower, offset = (parameters[f"tower.{k}.{part}"].data for part in ("weight", "bias"))
        users, items = e[:n_users] * (tower[:, 0] * dtype(self.config.score_scale)), e[n_users:]
        xp = parameters["user_embedding"].device.xp
        ones = xp.ones((n_users, 1), e.dtype)
        shift = xp.zeros((len(items), 1), e.dtype) + offset * dtype(self.config.score_scale)
        return rank.DotScorer(
            xp.concatenate([users, ones], axis=1), xp.concatenate([items, shift], axis=1)
        )

    def ranker(self, tables, parameters, k, n_users, device):
        """By LReLU(x) = slope·x + (1 − slope)·ReLU(x): an inner product and a network of ReLUs."""
        if self.config.literal:
            return super().ranker(tables, parameters, k, n_users, device)
        e, xp = self.coupled(tables, parameters), device.xp
        users, items = xp.ascontiguousarray(e[:n_users]), xp.ascontiguousarray(e[n_users:])
        names = "bottom.weight", "bottom.bias", f"tower.{k}.weight", f"tower.{k}.bias"
        weight, bias, tower, offset = (parameters[name].data for name in names)
        scale, slope = e.dtype.type(self.config.score_scale), e.dtype.type(SLOPE)
        along = device.kernels.linear.affine(weight, tower, None)[:, 0]  # W·w
        constant = scale * (slope * xp.sum(bias * tower[:, 0]) + offset)
        network = Tower(
            output=scale * (1 - slope) * tower[:, 0],
            users=xp.zeros_like(users) + bias,
            product=Product(users, items, weight),
        )
        every = xp.zeros(len(items), e.dtype) + constant
        return NetworkRanker([network], every, device, users * (scale * slope * along), items)


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
