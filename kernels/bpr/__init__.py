"""bpr: the pairwise ranking loss and its gradient, in one pass.

    loss = mean or sum over rows i of softplus(−(s⁺_i − s⁻_i)), softplus(x) = ln(1 + eˣ)  Eq. 18–20

bpr(scores, reduction="mean") → (loss, d_scores)

    scores    (2n,) F      rows [positives; negatives]: s⁺_i = scores[i], s⁻_i = scores[n + i]
    loss      () float64   n = 0 gives 0
    d_scores  (2n,) F      ∂loss/∂scores: −σ(−(s⁺−s⁻))/n for positives, its negative for negatives

bpr_slots(scores, present, count, reduction="mean") → (loss, d_scores)
    The same over the rows with present[i] ≥ 0, of which there are count () int32, both on the
    device; the others get zero gradients. For steps of fixed shape: cuda.py alone has it.

Saves nothing: the adjoint is d_loss · d_scores. Differences are taken in F, the sum is float64
over fixed pieces of rows, so the number of threads changes no bit. Large differences of either
sign neither overflow nor lose the gradient's sign. Only reads `scores`.
"""
