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


def did_you_mean(word: object, choices: Iterable[object]) -> str:
    """End of a sentence about an unknown `word`: the nearest choice, and all of them.

    >>> did_you_mean("offical", ["official", "paper"])
    "; did you mean 'official'? Known: official, paper."
    """
    names = [str(choice) for choice in choices]
    nearest = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"{hint} Known: {', '.join(names)}." if names else hint
