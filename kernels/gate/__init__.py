"""gate: softmax over a short axis, and the mix that it weighs.

softmax(x) → y                        y_ns = exp(x_ns) / Σ_s exp(x_ns), stable for any finite x
softmax_adjoint(d_y, y) → d_x         d_x = y·(d_y − Σ_s d_y·y)
mix(weights, parts) → y               y_n = Σ_s weights_ns · parts_sn
mix_adjoint(d_y, weights, parts) → (d_weights, d_parts)
                                      d_weights_ns = ⟨d_y_n, parts_sn⟩,
                                      d_parts_sn = weights_ns·d_y_n

    x, weights (n, s), parts (s, n, d), y (n, d), all F; n = 0 is allowed, s ≥ 1 is short (2…8).

softmax saves its output, mix its inputs. Inputs are only read. Rows are independent: the number
of threads changes no bit. Source: paper Eq. 4, 13, 17.
"""
