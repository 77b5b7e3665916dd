"""Which behaviour comes first: from a look to a purchase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import InputError, did_you_mean

# Stages of a shop's funnel under the names that data sets give them.
STAGES = (
    ("view", "pv", "click", "browse", "page_view"),
    ("collect", "fav", "favorite", "favourite", "like", "wish", "tip"),
    ("cart", "addtocart", "add_to_cart"),
    ("buy", "purchase", "transaction", "order"),
)
STAGE_OF = {name: stage for stage, names in enumerate(STAGES) for name in names}


def ordered(
    counts: Mapping[str, int], wanted: Sequence[str] | None, place: object
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Behaviours upstream → target, and notes about a guess.

    Parameters
    ----------
    counts : mapping of behaviour name → interactions
    wanted : sequence of str, optional
        An explicit selection and order.
    place : path
        Where the behaviours were found, for errors.

    Notes
    -----
    Without `wanted`: by the stages of a shop where every name is known, else by falling count,
    since upstream behaviours have more interactions.
    """
    if wanted:
        for name in wanted:
            if name not in counts:
                raise InputError(
                    f"{place}: behaviour {name!r} is unknown{did_you_mean(name, counts)}"
                )
        if len(set(wanted)) < len(wanted):
            raise InputError(f"behaviours {', '.join(wanted)} name one of them twice.")
        return tuple(wanted), ()
    stages = {name: STAGE_OF.get(name.lower()) for name in counts}
    if None not in stages.values() and len(set(stages.values())) == len(stages):
        return tuple(sorted(counts, key=stages.__getitem__)), ()
    names = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
    note = (
        f"behaviours are taken in the order {', '.join(names)}, by falling number of interactions, "
        f"with {names[-1]!r} as the target; --behaviors sets another order."
    )
    return names, (note,) if len(names) > 1 else ()
