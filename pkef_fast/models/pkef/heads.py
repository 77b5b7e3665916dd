"""Prediction heads: from the streams' tables to scores of pairs, and of everything at once."""

from __future__ import annotations

import numpy as np

from ...kernels import rank
from ...kernels.pairs import Pairs
from ...kernels.pme import EPSILON
from ...tape import ops
from ...tape.autograd import Tensor
from .config import PkefConfig

Rows = tuple[Tensor, ...]  # (K, B, d) of all behaviours, then (B, d) of each


class PmeHead:
    """Projected experts under a gate (paper Sec. 4.3).

    Expert 0 of a gate is the behaviour's own, the others follow in behaviour order.
    """

    def __init__(self, config: PkefConfig, n_behaviors: int):
        self.config, self.n_behaviors = config, n_behaviors

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the head's parameters."""
        weight, bias = (2 * self.config.d, self.n_behaviors), (self.n_behaviors,)
        if self.config.gate == "shared":
            return {"gate.weight": weight, "gate.bias": bias}
        return {
            f"gate.{k}.{name}": shape
            for k in range(self.n_behaviors)
            for name, shape in (("weight", weight), ("bias", bias))
        }

    def reads(self, k: int) -> frozenset[int]:
        """Behaviours whose tables the cascade score of k reads: all are experts."""
        return frozenset(range(self.n_behaviors))

    def _gate(self, parameters: dict, k: int):
        name = "gate" if self.config.gate == "shared" else f"gate.{k}"
        return parameters[f"{name}.weight"], parameters[f"{name}.bias"]

    def scores(self, rows: Rows, parameters: dict, k: int, n_users: int, pairs: Pairs) -> Tensor:
        """Cascade scores (R,) of behaviour k's pairs; `rows` are the batch's, by `ops.gather`."""
        return ops.pme(
            rows[0],
            *self._gate(parameters, k),
            level=self.config.projection_level,
            k=k,
            n_users=n_users,
            pairs=pairs,
            projection_scale=self.config.projection_scale,
            score_scale=self.config.score_scale,
        )

    def scorer(self, tables: dict[int, np.ndarray], parameters: dict, k: int, n_users: int):
        """What `kernels.rank` needs to score all pairs of behaviour k; tables: Z^j (N, d)."""
        gate = self._gate(parameters, k)
        weight, bias = (tensor.data for tensor in gate)
        own, d, xp = tables[k], self.config.d, gate[0].device.xp
        affine = gate[0].device.kernels.linear.affine
        user_logits = affine(own[:n_users], weight[:d], None)
        item_logits = affine(own[n_users:], weight[d:], bias)
        if self.config.projection_level == "interaction":
            stacked = xp.stack([tables[j] for j in range(self.n_behaviors)])
            return rank.InteractionScorer(
                xp.ascontiguousarray(stacked[:, :n_users]),
                xp.ascontiguousarray(stacked[:, n_users:]),
                k,
                user_logits,
                item_logits,
                self.config.projection_scale,
                self.config.score_scale,
            )
        # Each shared side is the multiple t·c_nj of Z^k, so the K experts are K scalars a node.
        norm = xp.sum(own * own, axis=1) + own.dtype.type(EPSILON)
        others = [j for j in range(self.n_behaviors) if j != k]
        shares = [xp.ones_like(norm)] + [
            xp.sum(tables[j] * own, axis=1) / norm * own.dtype.type(self.config.projection_scale)
            for j in others
        ]
        scale = xp.stack(shares, axis=1)
        return rank.GatedScorer(
            own[:n_users] * own.dtype.type(self.config.score_scale),
            own[n_users:],
            user_logits,
            item_logits,
            scale[:n_users],
            scale[n_users:],
        )


class BilinearHead:
    """A weight for each column of a behaviour's Hadamard product (GHCF's; ablation w/o PME)."""

    def __init__(self, config: PkefConfig, n_behaviors: int):
        self.config, self.n_behaviors = config, n_behaviors

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the head's parameters; one row of `relation` a behaviour."""
        return {"relation": (self.n_behaviors, self.config.d)}

    def reads(self, k: int) -> frozenset[int]:
        """Behaviours whose tables the cascade score of k reads."""
        return frozenset((k,))

    def scores(self, rows: Rows, parameters: dict, k: int, n_users: int, pairs: Pairs) -> Tensor:
        """Cascade scores (R,) of behaviour k's pairs; `rows` are the batch's, by `ops.gather`."""
        return ops.bilinear(
            rows[1 + k],
            parameters["relation"],
            k=k,
            pairs=pairs,
            score_scale=self.config.score_scale,
        )

    def scorer(self, tables: dict[int, np.ndarray], parameters: dict, k: int, n_users: int):
        """What `kernels.rank` needs to score all pairs of behaviour k."""
        relation = parameters["relation"].data[k] * tables[k].dtype.type(self.config.score_scale)
        return rank.DotScorer(tables[k][:n_users] * relation, tables[k][n_users:])


HEADS = {"pme": PmeHead, "bilinear": BilinearHead}
