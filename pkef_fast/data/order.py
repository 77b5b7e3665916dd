"""The order of behaviours, upstream first and the target last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

STAGES = (
    ("view", "pv", "click", "browse"),
    ("favorite", "favourite", "fav", "collect", "like", "wish"),
    ("cart", "addtocart", "add_to_cart", "add-to-cart"),
    ("buy", "purchase", "transaction", "order"),
)
"""Known names by their place in a shop's funnel."""


def stage(name: str) -> int | None:
    """Place of a behaviour in the funnel, None for an unknown name."""
    found = (place for place, names in enumerate(STAGES) if name.lower() in names)
    return next(found, None)


def usual_target(names: Sequence[str]) -> str | None:
    """The behaviour that is the furthest down the funnel; None where a name is unknown."""
    places = {name: stage(name) for name in names}
    if None in places.values() or list(places.values()).count(max(places.values())) > 1:
        return None
    return max(places, key=places.get)


def ordered(counts: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names in the funnel's order, or by falling count where one is unknown.

    Parameters
    ----------
    counts : dict of behaviour name → number of interactions

    Returns
    -------
    names : tuple of str
    notes : tuple of str
        A sentence about the order where it had to be guessed.
    """
    places = {name: stage(name) for name in counts}
    known = None not in places.values() and len(set(places.values())) == len(counts)
    if known:
        return tuple(sorted(counts, key=places.get)), ()
    names = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
    if len(names) < 2:
        return names, ()
    return names, (
        f"Behaviours were put in the order {' → '.join(names)}, by falling count, with "
        f"{names[-1]!r} as the target; change it with --behaviors {','.join(names)}.",
    )
