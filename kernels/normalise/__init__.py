"""normalise: rows scaled to length one.

normalise(x, form="clamp", epsilon=1e-12) → (y, inverse)      y_n = x_n·inverse_n, of form
    clamp     inverse = 1 / max(|x_n|, ε)                     CRGCN, as its release writes it
    smooth    inverse = 1 / (ε + √(ε + ⟨x_n,x_n⟩))            GNMR, as its release writes it
normalise_adjoint(d_y, y, inverse, form="clamp", epsilon=1e-12) → d_x
                                              d_x_n = inverse·(d_y_n − t·⟨d_y_n,y_n⟩·y_n), of form
    clamp     t = 1, and 0 where the length was clamped: there inverse = 1 / ε
    smooth    t = 1 / (1 − ε·inverse)

    x, y, d_y, d_x (N, d), inverse (N,), all F; ε > 0, form one of FORMS. N = 0 is allowed.

The adjoint reads the outputs alone. A row of zeros is zero, and its gradient finite: g/ε or
g/(ε + √ε). A row with a NaN is NaN. ⟨x_n,x_n⟩ must be within F. Rows are independent: the number
of threads changes no bit. Inputs are only read.
"""

FORMS = ("clamp", "smooth")
