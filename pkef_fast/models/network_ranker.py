"""Ranking by small networks over pairs, without a row for each of the U × I pairs.

    s(u, i) = Σ_towers ⟨h_L, v⟩ + ⟨l_u, r_i⟩ + c_i
    h_0 = ReLU(A_u + B_i + (p_u ∘ q_i)·W),   h_l = ReLU(h_{l−1} W_l + b_l)

A first layer on [p_u | q_i] is a sum of a user's part and an item's, each made once for all pairs:
A and B. A part on p_u ∘ q_i is q_i·(diag(p_u) W), a product of the items' table and a matrix a
user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..data.dataset import Array
from ..device import Device
from ..evaluate.rankers import RowsRanker

# Numbers of a block's first layer: blocks of users this large are worked on at a time.
BLOCK = 1 << 24


class Product(NamedTuple):
    """(p_u ∘ q_i)·W: left p (U, d), right q (I, d), weight W (d, h)."""

    left: Array
    right: Array
    weight: Array


class Tower(NamedTuple):
    """One network: users A (U, h), items B (I, h), further layers (W_l, b_l), output v."""

    users: Array
    items: Array
    layers: Sequence[tuple[Array, Array]]
    output: Array
    product: Product | None = None


class NetworkRanker(RowsRanker):
    """Ranks by s, for a block of users at a time.

    Parameters
    ----------
    towers : sequence of Tower
    left, right : l (U, d) and r (I, d)
    constant : c (I,)
    device : Device
    """

    def __init__(
        self, towers: Sequence[Tower], left: Array, right: Array, constant: Array, device: Device
    ):
        self.towers, self.left, self.right, self.constant = towers, left, right, constant
        n_items = len(right)
        widest = max(tower.items.shape[1] for tower in towers)
        width = max(1, BLOCK // (max(n_items, 1) * widest))
        super().__init__(self._block, device, n_items, width, left.dtype.type)

    def _block(self, users: Array) -> Array:
        """(I, w) scores of w users."""
        users, linear, xp = self.device.place(users), self.device.kernels.linear, self.device.xp
        left = xp.ascontiguousarray(self.left[users].T)
        scores = linear.affine(self.right, left, None) + self.constant[:, None]
        for tower in self.towers:
            scores += self._of_tower(tower, users)
        return scores

    def _of_tower(self, tower: Tower, users: Array) -> Array:
        """⟨h_L, v⟩ of all items and these users, (I, w)."""
        linear, xp = self.device.kernels.linear, self.device.xp
        items, count = len(tower.items), len(users)
        own = tower.users[users]  # (w, h)
        if tower.product is None:
            hidden = tower.items[:, None] + own[None]
        else:
            left, right, weight = tower.product
            stretched = left[users].T[:, :, None] * weight[:, None]  # diag(p_u)·W of each user
            stretched = xp.ascontiguousarray(stretched.reshape(len(weight), -1))
            hidden = linear.affine(right, stretched, own.reshape(-1))
            hidden = hidden.reshape(items, count, -1) + tower.items[:, None]
        hidden = linear.activate(hidden, "relu").reshape(items * count, -1)
        for weight, bias in tower.layers:
            hidden = linear.activate(linear.affine(hidden, weight, bias), "relu")
        last = xp.ascontiguousarray(tower.output[:, None])
        return linear.affine(hidden, last, None).reshape(items, count)
