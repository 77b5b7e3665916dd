"""Coupled inputs: every behaviour's score is made from the sum e = Σ_k β_k·Z^k of all tables."""

from __future__ import annotations

from ....tape import ops
from ....tape.autograd import Tensor
from .base import Head

SLOPE = 0.1  # of LReLU, as in the authors' layers


class CoupledHead(Head):
    """β_k is 1, λ_k, or entry k of a softmax over the trained `coupling` (K,)."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The coupling, where it is learned."""
        return {"coupling": (self.n_behaviors,)} if self._learned else {}

    @property
    def _learned(self) -> bool:
        return self.config.coupling == "learned"

    @property
    def _weights(self) -> dict[int, float]:
        """β_k of the tables that are read."""
        if self.config.coupling == "coefficients":
            return {k: weight for k, weight in enumerate(self.config.coefficients) if weight}
        return dict.fromkeys(range(self.n_behaviors), 1.0)

    def reads(self, k: int) -> frozenset[int]:
        """Whatever is in the sum."""
        return frozenset(self._weights)

    def rows(self, Z, nodes, parameters):
        """(e,): the sum (B, d) of the batch's nodes."""
        if self._learned:
            tables, *_ = ops.gather(*(Z[k] for k in range(self.n_behaviors)), nodes=nodes)
            return (ops.mix(self._shares(parameters, len(nodes)), tables),)
        # The sum of whole tables first: one table to gather from, and one gradient to put back.
        weights = self._weights
        e = ops.couple(*(Z[k] for k in weights), weights=tuple(weights.values()))
        return (ops.gather(e, nodes=nodes)[1],)

    def _shares(self, parameters, count: int) -> Tensor:
        """The softmax of the coupling, for each of `count` nodes: a gate without an input."""
        coupling = parameters["coupling"]
        zeros, dtype = coupling.device.xp.zeros, coupling.dtype
        nothing = (zeros(shape, dtype) for shape in ((count, 1), (1, self.n_behaviors)))
        x, weight = (Tensor(one, coupling.device) for one in nothing)
        return ops.softmax(ops.affine(x, weight, coupling))

    def coupled(self, tables, parameters):
        """e (N, d) of all nodes, an array."""
        linear = parameters["user_embedding"].device.kernels.linear
        weights = self._weights
        if self._learned:
            (shares,) = self._shares(parameters, 1).data
            return linear.total(*(tables[k] * shares[k] for k in weights))
        return linear.total(*(tables[k] * tables[k].dtype.type(w) for k, w in weights.items()))
