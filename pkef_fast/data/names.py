"""What the files of a published folder are, by their names: behaviours, their mixtures, others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from .order import STAGES, stage

VALIDATION = ("validation", "valid", "val", "vali", "vld")
"""What publishers call the validation part."""

_OTHER = re.compile(
    # papers of the folder
    r"(read_?me|licen[cs]e|copying|notice|citation|requirements|change_?log|notes?|about|log)"
    # sizes and statistics
    r"|(.*_)?(sizes?|counts?|stats?|statistics|info|meta|summary|describe|description)(_.*)?"
    # numbering and features
    r"|.*(2|_to_)(id|idx|index|name|org)s?"
    r"|.*_(ids?|idx|index|maps?|mapping|lists?|dicts?|names?|features?|embeddings?|attributes?)"
    r"|(users?|items?|entit(y|ies)|relations?|categor(y|ies)|maps?|mapping|ids?|kg)(_.*)?"
    # parts of a split, samples and mixtures of behaviours
    r"|(train|trn|tra|test|tst|valid|validation|val|vld|all|union|auxiliary|sampled?|negatives?)"
    r"([_.\d].*)?"
    r"|.*_(samples?|negatives?|mat|adj)"
    r"|(.*_)?adj(_.*)?|(.*_)?graph",
    re.IGNORECASE,
)
_ENDINGS = ("", ".txt", ".pkl", ".npz", ".json")
_SHOWN = 8


def is_other(stem: str) -> bool:
    """Whether a file of this name is no behaviour: papers, sizes, id maps, parts, mixtures."""
    return stage(stem) is None and _OTHER.fullmatch(stem) is not None


def is_target(name: str) -> bool:
    """Whether a behaviour is of the funnel's last stage."""
    return stage(name) == len(STAGES) - 1


def behaviors_of(stems: Iterable[str], has_target: bool) -> tuple[str, ...]:
    """Behaviours among the stems of a folder whose files have nothing but a behaviour's name.

    Names of the funnel. Unknown ones only where none of these is a target and `has_target` is
    false: beside known behaviours an unknown file is hardly one, and is read when it is asked for.
    """
    stems = sorted(stems)
    known = tuple(name for name in stems if stage(name) is not None)
    if known and (has_target or any(is_target(name) for name in known)):
        return known
    return tuple(name for name in stems if not is_other(name))


def mixtures(names: Collection[str]) -> tuple[str, ...]:
    """Names that are put together from two or more of the other names, as `view_cart_buy`.

    >>> mixtures(["view", "add_to_cart", "view_add_to_cart", "view_like"])
    ('view_add_to_cart',)
    """

    def made_of(text: str, whole: str) -> bool:
        return any(
            text == one or (text.startswith(f"{one}_") and made_of(text[len(one) + 1 :], whole))
            for one in names
            if one != whole
        )

    return tuple(sorted(name for name in names if made_of(name, name)))


def mixed_note(files: Sequence[str]) -> tuple[str, ...]:
    """The sentence about files that hold mixtures of other behaviours, if any."""
    if not files:
        return ()
    return (
        f"Left aside, as named after mixtures of the other behaviours: {_listed(files)}; "
        "--behaviors reads them.",
    )


def unread_note(folder: Path, read: Iterable[Path]) -> tuple[str, ...]:
    """The sentence about files of a folder that may hold data and are none of `read`, if any."""
    known = {path.name for path in read}
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file()
        and path.suffix.lower() in _ENDINGS
        and not path.name.startswith(".")
        and path.name not in known
        and not (path.suffix == "" and re.match("readme|licen[cs]e", path.name, re.IGNORECASE))
    )
    if not names:
        return ()
    return (f"Not read: {_listed(names)}; a behaviour among them is read by --behaviors.",)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
