"""bpr: the ranking losses, pairwise, by soft maximum, by a margin; value and gradient in one pass.

    pairwise  loss = mean or sum over (i, j) of softplus(−(s⁺_i − s⁻_ij)), softplus(x) = ln(1 + eˣ)
                                                                              Eq. 18–20, with m = 1
    softmax   loss = mean or sum over i of −ln(e^{s⁺_i} / (e^{s⁺_i} + Σ e^{s⁻})),  the sum over all
              negatives of i's group: = softplus(−(s⁺_i − ln Σ e^{s⁻})), so BPR against their soft
              maximum (sampled softmax, Bengio & Senécal 2008, without correction for the sampling)

    hinge     loss = Σ over (i, j) of max(0, 1 − (s⁺_i − s⁻_ij)) / count                      GNMR

bpr(scores, reduction="mean", negatives=1) → (loss, d_scores)

    scores    ((1 + m)·n,) F   rows [positives; first negatives; second …], m = `negatives`:
                               s⁺_i = scores[i], s⁻_ij = scores[(1 + j)·n + i]
    loss      () float64       n = 0 gives 0
    d_scores  like scores      ∂loss/∂scores: of a pair −σ(−(s⁺−s⁻))/(m·n) for the positive, which
                               adds up over its m, and the negative of it for the other

softmax(scores, groups, reduction="mean", negatives=1) → (loss, d_scores)

    groups    (g + 1,) int32   rising from 0 to n: rows groups[j] … groups[j + 1] − 1 are one group,
                               whose positives share all its m·(groups[j + 1] − groups[j]) negatives
    d_scores  like scores      with w_i = σ(−(s⁺_i − ln Σ e^{s⁻}))/n: −w_i for a positive, and
                               e^{s⁻}/Σ e^{s⁻} · Σ w_i of its group for a negative
    With one row in each group and m = 1 it is bpr.

hinge(scores, count, negatives=1) → (loss, d_scores)

    count     int              what the sum is divided by, the batch's users say; 0 counts as 1
    d_scores  like scores      of a pair −1/count for the positive, which adds up over its m, and
                               1/count for the negative where the margin is missed; else 0, at the
                               margin too

bpr_slots(scores, present, count, reduction="mean", negatives=1) → (loss, d_scores)
softmax_slots(scores, present, count, width, reduction="mean", negatives=1) → (loss, d_scores)
hinge_slots(scores, present, count, negatives=1) → (loss, d_scores)
    The same over the rows with present[i] ≥ 0; the others get zero gradients. count () int32, on
    the device as well, is how many rows there are, in `hinge_slots` the divisor. A group is `width`
    slots in a row. For steps of fixed shape: cuda.py alone has them.

Saves nothing: the adjoint is d_loss · d_scores. Differences are taken in F by `bpr` and `hinge`, in
float64 by `softmax`; sums are float64 over fixed pieces of rows, so the number of threads changes
no bit. Large differences of either sign neither overflow nor lose the gradient's sign. Only reads
`scores`.
"""
