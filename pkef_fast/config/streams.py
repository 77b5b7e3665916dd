"""Random numbers by name: what one part of the project draws never meets what another one does."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """The random stream of this seed, name and these numbers: the same one at every call.

    Its Philox key is taken from the SHA-256 digest of all of them, so two streams are the same only
    if seed, name and numbers are. Nothing else that draws may use the same name.

    Parameters
    ----------
    seed : int
        Of the run, any whole number.
    name : str
        What the numbers are for.
    *numbers : int
        Tell streams of one name apart, such as the number of a round.

    Examples
    --------
    >>> one, again = stream(1, "left-out pair", 2), stream(1, "left-out pair", 2)
    >>> one.integers(100, size=3).tolist() == again.integers(100, size=3).tolist()
    True
    >>> int(stream(1, "left-out pair", 3).integers(2**31)) == int(one.integers(2**31))
    False
    """
    text = repr((int(seed), name, *map(int, numbers)))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], "<u8")))
