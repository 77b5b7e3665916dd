"""PME: projected experts under a gate (paper Sec. 4.3)."""

from __future__ import annotations

from functools import cached_property

from ....kernels import rank
from ....kernels.pme import EPSILON
from ....tape import ops
from ....tape.autograd import Tensor
from .base import Head


class PmeHead(Head):
    """Expert 0 of a gate is the behaviour's own, the others follow in behaviour order.

    Without its gate every expert weighs 1; without the others the own one is alone, under the gate
    if there is one, so that without both the score is an inner product.
    """

    @cached_property
    def _gated(self) -> bool:
        return self.config.gate != "none"

    @cached_property
    def _settings(self) -> tuple[float, float]:
        """projection_scale and score_scale as the kernels take them.

        No gate is one whose K weights are all 1/K, of scores that are K times as large.
        """
        config = self.config
        experts = 1 if self._gated else self.n_behaviors
        shared = config.projection_scale if config.shared_experts else 0.0
        return shared, config.score_scale * experts

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """One gate, one a behaviour, or none."""
        weight, bias = (2 * self.config.d, self.n_behaviors), (self.n_behaviors,)
        if not self._gated:
            return {}
        if self.config.gate == "shared":
            return {"gate.weight": weight, "gate.bias": bias}
        return {
            f"gate.{k}.{name}": shape
            for k in range(self.n_behaviors)
            for name, shape in (("weight", weight), ("bias", bias))
        }

    def reads(self, k: int) -> frozenset[int]:
        """All are experts, unless only the own one is."""
        return frozenset(range(self.n_behaviors)) if self.config.shared_experts else frozenset((k,))

    def experts(self, k, behaviors):
        """Each is a behaviour's, the own one first."""
        if not self._gated:
            return ()
        return tuple(behaviors[j] for j in rank.slots(self.n_behaviors, k))

    def _gate(self, parameters, k: int, device=None):
        if not self._gated:
            zeros, dtype = device.xp.zeros, self.config.dtype
            weight = zeros((2 * self.config.d, self.n_behaviors), dtype)
            return Tensor(weight, device), Tensor(zeros(self.n_behaviors, dtype), device)
        name = "gate" if self.config.gate == "shared" else f"gate.{k}"
        return parameters[f"{name}.weight"], parameters[f"{name}.bias"]

    @property
    def _plain(self) -> bool:
        """Whether the score is the own expert's sum: an inner product."""
        return not (self._gated or self.config.shared_experts)

    def scores(self, rows, parameters, pairs, n_users):
        """Gated scores, Eq. 17."""
        if self._plain:
            scale = self.config.score_scale
            return {
                k: ops.dot(rows[1 + k], pairs=some, score_scale=scale) for k, some in pairs.items()
            }
        projection_scale, score_scale = self._settings
        return {
            k: ops.pme(
                rows[0],
                *self._gate(parameters, k, rows[0].device),
                level=self.config.projection_level,
                k=k,
                n_users=n_users,
                pairs=some,
                projection_scale=projection_scale,
                score_scale=score_scale,
            )
            for k, some in pairs.items()
        }

    def scorer(self, tables, parameters, k, n_users):
        """Of all pairs: by side a few numbers a node, by interaction more products."""
        own, d, dtype = tables[k], self.config.d, tables[k].dtype.type
        device = parameters["user_embedding"].device
        xp, affine = device.xp, device.kernels.linear.affine
        projection_scale, score_scale = self._settings
        if self._plain:
            return rank.DotScorer(own[:n_users] * dtype(self.config.score_scale), own[n_users:])
        weight, bias = (tensor.data for tensor in self._gate(parameters, k, device))
        user_logits = affine(own[:n_users], weight[:d], None)
        item_logits = affine(own[n_users:], weight[d:], bias)
        if self.config.projection_level == "interaction":
            stacked = xp.stack([tables.get(j, own) for j in range(self.n_behaviors)])
            return rank.InteractionScorer(
                xp.ascontiguousarray(stacked[:, :n_users]),
                xp.ascontiguousarray(stacked[:, n_users:]),
                k,
                user_logits,
                item_logits,
                projection_scale,
                score_scale,
            )
        # Each shared side is the multiple t·c_nj of Z^k, so the K experts are K scalars a node.
        norm = xp.sum(own * own, axis=1) + dtype(EPSILON)
        others = [tables.get(j, own) for j in range(self.n_behaviors) if j != k]
        shares = [xp.ones_like(norm)] + [
            xp.sum(other * own, axis=1) / norm * dtype(projection_scale) for other in others
        ]
        scale = xp.stack(shares, axis=1)
        return rank.GatedScorer(
            own[:n_users] * dtype(score_scale),
            own[n_users:],
            user_logits,
            item_logits,
            scale[:n_users],
            scale[n_users:],
        )
