"""The order of behaviours, upstream first and the target last.

Names are compared without case, blanks, dashes and underscores. Known ones order themselves; an
unknown one is put upstream of them, so that it never is the target for being rare; one that takes
something back, as `remove_from_cart`, is left out unless somebody asks for it. Where no name is
known, or two may be the target, the question is asked: nothing in the data answers it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..errors import InputError

_NAMES = (
    "impression impressions exposure exposures show shown",
    "view views pv pageview click clicks browse viewitem viewed clicked productview itemview",
    "favorite favourite favorites favourites fav collect like likes wish wishlist bookmark "
    "addtowishlist addtofavorites",
    "cart carts addtocart addcart basket addtobasket",
    "checkout begincheckout",
    "buy buys purchase purchases purchased transaction transactions order orders bought sale pay",
)
STAGES = tuple(tuple(names.split()) for names in _NAMES)
"""Known names by their place in a shop's funnel, squashed."""
_TAKES_BACK = re.compile(
    r"^(remove|delete|un(like|fav|collect|follow|subscribe|wish)|dis(like|card)|cancel|return|refund"
    r"|notinterested|skip|hide|report)"
)


def squashed(name: str) -> str:
    """A name as it is compared.

    >>> squashed(" Add-to_Cart ")
    'addtocart'
    """
    return re.sub(r"[\s_\-]", "", name).lower()


def stage(name: str) -> int | None:
    """Place of a behaviour in the funnel, None for an unknown name."""
    found = (place for place, names in enumerate(STAGES) if squashed(name) in names)
    return next(found, None)


def takes_back(name: str) -> bool:
    """Whether a behaviour undoes another one, by its name."""
    return bool(_TAKES_BACK.match(squashed(name)))


def usual_target(names: Sequence[str]) -> str | None:
    """The behaviour that is the furthest down the funnel; None where two are, or none is known."""
    places = {name: place for name in names if (place := stage(name)) is not None}
    if not places or list(places.values()).count(max(places.values())) > 1:
        return None
    return max(places, key=places.get)


def ordered(counts: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names in the funnel's order; those of one stage, and unknown ones before, by falling count.

    Parameters
    ----------
    counts : dict of behaviour name → number of interactions

    Returns
    -------
    names : tuple of str
    notes : tuple of str
        Sentences about what was left out or guessed.

    Raises
    ------
    InputError
        When there are several names and none is known, or several that may be the target.
    """
    back = tuple(filter(takes_back, counts))
    back = back if len(back) < len(counts) else ()
    rest = [name for name in counts if name not in back]
    places = {name: stage(name) for name in rest}
    by_count = sorted(rest, key=lambda name: (-counts[name], name))
    if len(rest) > 1 and usual_target(rest) is None:
        known = [place for place in places.values() if place is not None]
        last = [name for name in by_count if known and places[name] == max(known)]
        what = (
            f"{_listed(last)} may each be the target"
            if last
            else f"nobody can know the order of {_listed(by_count)} by their names"
        )
        raise InputError(
            f"{what}; wanted --behaviors {','.join(_by_stage(by_count, places))} or another order, "
            "upstream first and the target last."
        )
    notes = []
    if back:
        notes.append(
            f"{_listed(back)} {'takes' if len(back) == 1 else 'take'} something back by the name "
            "and was left out; name it in --behaviors to use it."
        )
    names = tuple(_by_stage(by_count, places))
    unknown = [name for name in names if places[name] is None]
    if unknown and len(names) > 1:
        notes.append(
            f"Behaviours were put in the order {' → '.join(names)}: {_listed(unknown)} "
            f"{'is' if len(unknown) == 1 else 'are'} not known by name and stand"
            f"{'s' if len(unknown) == 1 else ''} first; change it with --behaviors "
            f"{','.join(names)}."
        )
    return names, tuple(notes)


def _by_stage(names: Sequence[str], places: Mapping[str, int | None]) -> list[str]:
    return sorted(names, key=lambda name: -1 if places[name] is None else places[name])


def _listed(names: Sequence[str]) -> str:
    texts = [repr(name) for name in names]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]
