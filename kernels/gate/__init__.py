"""gate: softmax or shares over a short axis, and the mix that they weigh.

softmax(x) → y                        y_ns = exp(x_ns) / Σ_s exp(x_ns), stable for any finite x
softmax_adjoint(d_y, y) → d_x         d_x = y·(d_y − Σ_s d_y·y)
shares(counts, weights) → y           y_ns = c_ns w_s / (Σ_s c_ns w_s + SMALL): counts, weighed
                                      and without exponentials (MBGCN); w may be negative
shares_adjoint(d_y, counts, y, weights) → d_weights
                                      with D_n = Σ_s c_ns w_s + SMALL:
                                      d_w_s = Σ_n c_ns/D_n · (d_y_ns − Σ_t d_y_nt y_nt)
mix(weights, parts) → y               y_n = Σ_s weights_ns · parts_sn
mix_adjoint(d_y, weights, parts) → (d_weights, d_parts)
                                      d_weights_ns = ⟨d_y_n, parts_sn⟩,
                                      d_parts_sn = weights_ns·d_y_n

    x, weights (n, s), parts (s, n, d), y (n, d), all F; n = 0 is allowed, s ≥ 1 is short (2…8).
    Of shares: counts, y, d_y (n, s), weights, d_weights (s,).

softmax saves its output, shares its output and inputs, mix its inputs. Inputs are only read. Rows
are independent, and the sum over them runs over fixed pieces: the number of threads changes no bit.
Source: paper Eq. 4, 13, 17; MBGCN Eq. 5.
"""

SMALL = 1e-8  # keeps the shares of a row without counts 0
