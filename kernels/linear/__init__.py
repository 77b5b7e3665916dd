"""linear: affine maps, activations, sums, and small networks over all pairs.

affine(x, weight, bias) → y = x·weight + bias
affine_adjoint(d_y, x, weight, with_bias=True, need_x=True) → (d_x, d_weight, d_bias)
    d_x = d_y·weightᵀ, d_weight = xᵀ·d_y, d_bias = column sums of d_y; None where not wanted
gram(x) → y = xᵀ·x, (a, a)                          adjoint: gram_adjoint(d_y, x) → x·(d_y + d_yᵀ)
activate(x, kind, slope=0.1) → y, kind one of KINDS
activate_adjoint(d_y, y, kind, slope=0.1) → d_x, from the output y alone
stack(a, b, nodes=None) → (n + m, c): the rows of a (n, c), then those of b (m, c), a new array;
                          where nodes (r,) int32 are given, the rows with these numbers (r, c)
shift(x, bias) → y, bias added to each row: y_nj = x_nj + bias_j; d_x = d_y
column_sums(x) → (c,): Σ_n x_nj, so d_bias of `shift` is column_sums(d_y)
network(users, items, product, layers, output) → scores (w, m), of each of w users and m items
    ⟨h_L, output⟩ with h_0 = relu(users_u + items_i + (p_u ∘ q_i)·W), h_l = relu(h_{l−1}·W_l + b_l);
    users (w, h), items (m, h) and product = (p (w, d), q (m, d), W (d, h)), each may be None, but
    not the last two; layers ((W_1, b_1), …), maybe none; output (c,). Not differentiable: it ranks.
    A score does not depend on the other users of the call. CUDA holds w·m·h numbers at a time.
total(*parts) → Σ parts, in their order, a new array; parts of one shape, one or more

    x (n, a), weight (a, c), bias (c,) or None, y (n, c); activations take any shape; F throughout.

The affine map saves (x, weight), an activation its output. n = 0 is allowed. Sums over rows run
over fixed pieces, so the number of threads changes no bit. Inputs are only read.

relu: max(x, 0), with slope 0 at 0; leaky_relu: x or slope·x; sigmoid: 1/(1 + e⁻ˣ).
Source: paper Eq. 4, 17 (gates), Table 4 (linear fusion); the rest serves the baselines.
"""

KINDS = ("identity", "relu", "leaky_relu", "sigmoid")
