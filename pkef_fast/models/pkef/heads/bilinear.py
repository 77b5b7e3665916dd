"""Bilinear heads: a behaviour's user and item weighed by a relation (GHCF's; ablation w/o PME)."""

from __future__ import annotations

from ....kernels import rank
from ....tape import ops
from .base import Head


class BilinearHead(Head):
    """m·Σ_a Z_ua Z_va r_a: a weight for each column of the Hadamard product."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """One row of `relation` a behaviour."""
        return {"relation": (self.n_behaviors, self.config.d)}

    def scores(self, rows, parameters, pairs, n_users):
        """Of each behaviour, from its own table."""
        return {
            k: ops.bilinear(
                rows[1 + k],
                parameters["relation"],
                k=k,
                pairs=some,
                score_scale=self.config.score_scale,
            )
            for k, some in pairs.items()
        }

    def scorer(self, tables, parameters, k, n_users):
        """An inner product: the users' side is weighed."""
        relation = parameters["relation"].data[k] * tables[k].dtype.type(self.config.score_scale)
        return rank.DotScorer(tables[k][:n_users] * relation, tables[k][n_users:])


class FullBilinearHead(Head):
    """m·Z_uᵀ R_k Z_v with a whole matrix R_k a behaviour."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """`relation.{k}` (d, d); like the diagonal form's it has no penalty."""
        d = self.config.d
        return {f"relation.{k}": (d, d) for k in range(self.n_behaviors)}

    def scores(self, rows, parameters, pairs, n_users):
        """Of each behaviour: the batch's users are turned by R_k, then it is an inner product."""
        return {
            k: ops.dot(
                ops.turn(rows[1 + k], parameters[f"relation.{k}"], n_users=n_users),
                pairs=some,
                score_scale=self.config.score_scale,
            )
            for k, some in pairs.items()
        }

    def scorer(self, tables, parameters, k, n_users):
        """An inner product of turned users with items."""
        relation = parameters[f"relation.{k}"]
        users = relation.device.kernels.linear.affine(tables[k][:n_users], relation.data, None)
        return rank.DotScorer(
            users * tables[k].dtype.type(self.config.score_scale), tables[k][n_users:]
        )
