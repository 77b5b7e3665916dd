"""What others offer for the same work, side by side with this package's in one process.

    products        sparse times dense, by SciPy and by PyTorch
    torch_pkef      a training step of the same model as a user of PyTorch would write it
    implicit_bpr    an epoch of the library `implicit`'s matrix factorisation, for scale

Needs the extra `peers`. pkef_fast never imports this; `pkef-fast bench --peers` runs it from a
clone.
"""
