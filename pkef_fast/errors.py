"""What can go wrong for a user, each as one sentence.

The command line prints the sentence and exits with code 2; Python users catch the classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PkefError(Exception):
    """Base of every error whose message is meant for the user."""


class InputError(PkefError, ValueError):
    """A file, a table, a name or a value that cannot be used."""


class DeviceError(PkefError):
    """A device that is not there, or not usable."""


class TrainingError(PkefError):
    """A run that had to stop, for example because the loss became non-finite."""


def shown(value: object, most: int = 60) -> str:
    """A value as a sentence can hold it: its repr, cut where it is long.

    >>> shown("x" * 4000, most=8)
    "'xxxxxx…"
    """
    try:
        text = repr(value)
    except Exception:  # a user's own type may do anything, and Python refuses huge numbers
        text = f"a value of type {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def did_you_mean(word: object, choices: Iterable[object]) -> str:
    """End of a sentence about an unknown `word`: the nearest choice, and all of them.

    >>> did_you_mean("offical", ["official", "paper"])
    "; did you mean 'official'? Known: official, paper."
    """
    names = [str(choice) for choice in choices]
    nearest = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"{hint} Known: {', '.join(names)}." if names else hint
