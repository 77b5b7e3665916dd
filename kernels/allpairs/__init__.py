"""allpairs: the squared error over all pairs of a batch's users and all items, none of them drawn.

Source: GHCF's non-sampling loss. With scores s_ui = Σ_a z_ua z_ia r_a, and y_ui = 1 where u and i
met, else 0, an error that counts w where they did not meet

    Σ_ui c_ui (y_ui − s_ui)²,  c_ui = 1 where they met, else w
        = w·Σ_ab U_ab I_ab r_a r_b  +  Σ_met [(1 − w)·s² − 2·s]  +  how many met

with the Gram matrices U = Σ_u z_u z_uᵀ and I = Σ_i z_i z_iᵀ of the two sides (`linear.gram`): its
cost is that of the pairs that met. The last term is constant and left out.

everything(users, items, relation, weight) → (loss, d_users, d_items, d_relation)     the first term
    users, items (d, d) F, relation (d,) F, weight w: loss () float64, summed in float64;
    d_users_ab = w·I_ab r_a r_b,  d_items_ab = w·U_ab r_a r_b,  d_relation_a = 2w·Σ_b U_ab I_ab r_b
    (users and items are symmetric)
met(scores, weight) → (loss, d_scores)                                                the second
    scores (n,) F: loss () float64, terms in F and their sum in float64 over pieces of fixed size;
    d_scores = 2(1 − w)·s − 2. A pair that is absent has score 0 (`pairs`) and adds nothing.

n = 0 is allowed: a loss of 0. Gradients are new arrays. Inputs are only read. The number of threads
changes no bit.
"""
