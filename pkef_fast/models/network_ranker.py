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
    """One network: output v (c,), further layers (W_l, b_l), and parts of its first layer: users
    A (U, h), items B (I, h), a product. Items or a product must be there."""

    output: Array
    layers: Sequence[tuple[Array, Array]] = ()
    users: Array | None = None
    items: Array | None = None
    product: Product | None = None

    @property
    def width(self) -> int:
        """h."""
        return (self.product.weight if self.items is None else self.items).shape[1]


class NetworkRanker(RowsRanker):
    """Ranks by s, for a block of users at a time.

    Parameters
    ----------
    towers : sequence of Tower
    constant : c (I,)
    device : Device
    left, right : l (U, d) and r (I, d), or neither
    """

    def __init__(
        self,
        towers: Sequence[Tower],
        constant: Array,
        device: Device,
        left: Array | None = None,
        right: Array | None = None,
    ):
        self.towers, self.left, self.right, self.constant = towers, left, right, constant
        widest = max(tower.width for tower in towers)
        width = max(1, BLOCK // (max(len(constant), 1) * widest))
        super().__init__(self._block, device, len(constant), width, constant.dtype.type)

    def _block(self, users: Array) -> Array:
        """(I, w) scores of w users."""
        users, linear, xp = self.device.place(users), self.device.kernels.linear, self.device.xp
        scores = xp.zeros((len(users), len(self.constant)), self.dtype) + self.constant
        if self.left is not None:
            right = xp.ascontiguousarray(self.right.T)
            scores += linear.affine(self.left[users], right, None)
        for tower in self.towers:
            own = None if tower.users is None else tower.users[users]
            product = tower.product
            if product is not None:
                product = product._replace(left=product.left[users])
            scores += linear.network(own, tower.items, product, tower.layers, tower.output)
        return scores.T
