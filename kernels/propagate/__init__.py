"""propagate: one layer of the parallel and the cascade stream over a behaviour's graph.

With Â = diag(scale_out) · (A + self_loop·I) · diag(scale_in), A the symmetric 0/1 pattern:

    e  = Â p                       message of the parallel stream                     Eq. 8, 11
    c  = Â z                       message of the cascade stream                      Eq. 9
    p' = e + p                                                                        Eq. 11
    z' = c + z + fusion_scale · fuse(a, c)                                            Eq. 12, 13
                                   a = e or p': fusion_source "message" or "state"
    p_sum += p',  z_sum += z'      running layer sums                                 Eq. 14

fuse, row by row (n a node, ⟨·,·⟩ an inner product, ε = 1e-12):

    projection   r·c with r = ⟨a,c⟩ / (⟨c,c⟩ + ε)                                    Eq. 12
    vanilla      Σ_j w_j f_j over f = [c, a, c − a, c∘a], w = softmax([c|a|c−a|c∘a]·weight + bias),
                 weight (4d, 4), bias (4,)                                            Eq. 13
    summation    a                                                                    Table 4
    linear       a·weight + bias, weight (d, d), bias (d,)                            Table 4
    none         0; there is no parallel stream (p is None)                           w/o PKF

Entry points (reference.py and cpu.py have the same)
----------------------------------------------------
spread(adjacency, x) → y                                   y = Â x; adjoint: spread on `transposed`
layer_sum(adjacency, x, layers) → y                        y = Σ_{l=0…layers} Â^l x, as y ← x + Â y
                                                           from y = x on; adjoint: on `transposed`
project(a, c) → (out, r, inverse)                          out = r·c, inverse = 1/(⟨c,c⟩ + ε)
project_adjoint(d_out, a, c, r, inverse) → (d_a, d_c)      with t = ⟨d_out,c⟩·inverse:
                                                           d_a = t·c, d_c = r·d_out + t·a − 2rt·c
layer(adjacency, p, z, p_sum, z_sum, fusion, fusion_source, fusion_scale, weight, bias, keep)
    → (p', z', p_sum, z_sum, saved)
layer_adjoint(adjacency, d_p, d_z, d_p_sum, d_z_sum, saved, fusion, fusion_source, fusion_scale,
              weight, bias, merged, begins) → (d_p_in, d_z_in, d_weight, d_bias)

Shapes and types: p, z, p_sum, z_sum and all gradients (N, d), F = float32 or float64, C order;
r, inverse (N,). `adjacency` is an `Adjacency` whose scales have dtype F.

layer: `p` is None exactly where fusion is "none". `p is z` (the first layer of the first behaviour,
where both streams start from the table) computes the common message once. p_sum, z_sum are None
where nobody reads the sum, and then come back as None. Sums that begin here are the inputs
themselves (`p_sum is p`, `z_sum is z`) and come back as new arrays; later ones grow in place and
come back as they are. p', z' are new arrays. With `keep`, `saved` is what
the adjoint needs: (a, c, r, inverse) for projection, (a, c, w) for vanilla, (a,) for linear and ()
for the others; with fusion_source "state" its `a` is p' itself. Without, it is None.

layer_adjoint: d_p, d_z are the gradients of p', z', or None for zero; d_p_sum, d_z_sum those of the
running sums after this layer, or None (they pass on unchanged to the layer before). Returns the
gradients of p and z, which take those of the sums too where these begin here (`begins`); with
`merged` (p and z were one array) the gradient of that array in d_z_in and None in d_p_in. d_weight,
d_bias are None for fusions without weights. Inputs are only read.

A node without neighbours has an exactly zero message (with self_loop its own row); there projection
gives 0 and passes 0. N = 0 and E = 0 are allowed. A row's sum runs in index order, so results do
not depend on the number of threads.

An adjacency whose `storage` is "bfloat16" has the tables that neighbour sums read stored in 16
bits, half the traffic: with b(x) = x rounded to a bfloat16, to nearest and ties to even,

    Âx ≈ diag(scale_out) · A · b(scale_in∘x)

and the sums, like all that a node takes from its own row but a self-loop, in float32 as ever. The
adjoint sends its gradients rounded alike. CUDA rounds x instead of scale_in∘x, and no self-loops.
In float64 nothing is rounded.

Source: paper Sec. 4.2; fusion_source "state" and fusion_scale are the release's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EPSILON = 1e-12
FUSIONS = ("projection", "vanilla", "summation", "linear", "none")
FUSION_SOURCES = ("message", "state")


class Adjacency(NamedTuple):
    """A symmetric 0/1 pattern with the scales of its normalisation.

    indptr (N+1,) int32 rising from 0; indices (E,) int32, rising in a row, 0 ≤ i < N, or on CUDA −1
    where an edge was dropped (`dropout`);
    scale_in, scale_out (N,) F; unit_in, unit_out say that the scale is all ones;
    self_loop 0 or 1; chunks (C+1,) int32: row bounds of pieces with about equal work;
    storage, "exact", "bfloat16" or (CUDA alone) "float16": how the tables that its neighbour sums
    read are stored.
    """

    indptr: np.ndarray
    indices: np.ndarray
    scale_in: np.ndarray
    scale_out: np.ndarray
    unit_in: bool
    unit_out: bool
    self_loop: int
    chunks: np.ndarray
    storage: str = "exact"

    @property
    def transposed(self) -> Adjacency:
        """Âᵀ: the same pattern, the scales swapped."""
        return self._replace(
            scale_in=self.scale_out,
            scale_out=self.scale_in,
            unit_in=self.unit_out,
            unit_out=self.unit_in,
        )
