"""attention: what mixes a node's behaviours: memory slots, attention over behaviours, their pool.

Tables stack K behaviours of n nodes: row k·n + i is node i's of behaviour k. Rows of a node are
written x_k. With relu(a) = max(a, 0) and H heads of h = d/H columns each:

    memory   t = Σ_m relu(p_m)·(x R_m), row by row: each row has a d × d matrix of its own, mixed
             from M that all share, and it is never formed
    attend   o_k = Σ_j w_kj v_j,  w_kj = softmax over j of ⟨q_k, k_j⟩ / h, head by head; the release
             divides by h, not by √h
    pool     y = Σ_k w_k o_k,  w = softmax over k of g_k
    predict  s = ⟨relu(x W + b) + x, v⟩ + c,  x = l ∘ r, for every row l and every row r

Entry points
------------
memory(x, p, R) → t
memory_adjoint(d_t, x, p, R) → (d_x, d_p, d_R)
attend(qkv, behaviors, heads) → o
attend_adjoint(d_o, qkv, behaviors, heads) → d_qkv
pool(g, o, behaviors) → y
pool_adjoint(d_y, g, o, behaviors) → (d_g, d_o)
predict(left, right, W, b, v, c) → s (n_left, n_right)          for ranking; it has no adjoint

    x, t (r, d), p (r, M), R (M, d, d): any rows; qkv (K·n, 3d), columns [q | k | v]; o (K·n, d),
    g (K·n, 1), y (n, d); left (n_left, d), right (n_right, d), W (d, d), b (d,), v (d, 1),
    c (1,): F, float32 or float64, C order. behaviors = K ≤ MOST_BEHAVIORS; heads
    divides d.

n = 0 and r = 0 are allowed. Nothing is saved but inputs: the adjoints compute the weights again,
from K² products a head, rather than read them. A slot with p ≤ 0 adds nothing to t and passes
nothing on, whatever x is (0·inf is 0 here); half of them are such, and the CPU's form skips them. A
NaN in p is passed on.
Any finite scores give finite weights. Inputs are only read. Rows are independent, and d_R is summed
over fixed pieces of rows: the number of threads changes no bit.

Source: GNMR (Xia et al., ICDE 2021), as its release computes it.
"""

MOST_BEHAVIORS = 8


def check_behaviors(behaviors: int, rows: int) -> int:
    """Nodes of a table of that many behaviours; ValueError for more than the kernels take."""
    if not 1 <= behaviors <= MOST_BEHAVIORS:
        raise ValueError(f"attention takes 1 to {MOST_BEHAVIORS} behaviours, not {behaviors}.")
    return rows // behaviors
