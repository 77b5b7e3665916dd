"""bce: mean binary cross-entropy of labels and logits, and its gradient, in one pass.

    loss = mean over r of −y_r·ln σ(s_r) − (1 − y_r)·ln(1 − σ(s_r))
         = mean of max(s_r, 0) − y_r·s_r + ln(1 + e^{−|s_r|})          NeuMF, their Eq. 7; NMTR

bce(scores, labels) → (loss, d_scores)

    scores    (n,) F           logits: of any size, neither overflows
    labels    (n,) F           0 ≤ y ≤ 1
    loss      () float64       n = 0 gives 0
    d_scores  like scores      ∂loss/∂scores = (σ(s) − y)/n, taken as σ(s)·(1 − y) − σ(−s)·y so that
                               a certain answer keeps its digits

bce_slots(scores, labels, present, count) → (loss, d_scores)
    The same over the rows with present[r] ≥ 0, of which there are count () int32, both on the
    device; the others get zero gradients. For steps of fixed shape: cuda.py alone has it.

Saves nothing: the adjoint is d_loss · d_scores. All in float64 over fixed pieces of rows, so the
number of threads changes no bit. Inputs are only read.
"""
