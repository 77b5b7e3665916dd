"""Which column of a table is the user, the item, the behaviour, the time.

Names are compared without case, blanks, dashes and underscores, and without the types that RecBole
writes behind them (`user_id:token`). Two columns that fit one role are a question, not a choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import InputError, did_you_mean

_FIRST = {
    "user": """user userid uid visitor visitorid customer customerid client clientid member memberid
        buyer buyerid shopper shopperid account accountid reviewerid userpseudoid 用户 用户id""",
    "item": """item itemid iid product productid article articleid good goods goodsid sku skuid asin
        movie movieid offer offerid 商品 商品id""",
    "behavior": """behavior behaviour behaviortype behaviourtype event eventtype eventname action
        actiontype interaction interactiontype btag 行为 行为类型""",
    "time": """time timestamp ts unixtime unixtimestamp eventtime eventtimestamp actiontime datetime
        createdat 时间 时间戳""",
    "rating": "rating ratings",
    "split": "split",
}
_ELSE = {
    "user": "session sessionid",
    "item": "video videoid book bookid song songid track trackid business businessid",
    "behavior": "type",
    "time": "date day eventdate",
    "rating": "score stars value count weight",
    "split": "",
}
NAMES = {role: (_FIRST[role].split(), _ELSE[role].split()) for role in _FIRST}
"""Known names of each role, squashed: those that are taken first, and those taken without these."""
OTHER_WORDS = {"behaviour": "behavior", "timestamp": "time", "value": "rating"}
REQUIRED = ("user", "item")
NONE = "none"  # in place of a column's name: the table has none

_TYPED = re.compile(r":(token|float|token_seq|float_seq)$")


@dataclass(frozen=True)
class Roles:
    """Columns by role.

    Attributes
    ----------
    columns : dict of role → name in the header
    guessed : tuple of str
        Roles whose columns were found by their names alone.
    declined : tuple of str
        Roles of which the user says that there is no column.
    """

    columns: dict[str, str]
    guessed: tuple[str, ...]
    declined: tuple[str, ...] = ()


def squashed(name: str) -> str:
    """A column's name as it is compared.

    >>> squashed(" User_ID:token"), squashed("eventTime")
    ('userid', 'eventtime')
    """
    return re.sub(r"[\s_\-.]", "", _TYPED.sub("", name.strip())).lower()


def role_named(word: str) -> str:
    """The role that a word of `--columns` is."""
    role = OTHER_WORDS.get(word.strip().lower(), word.strip().lower())
    if role not in NAMES:
        raise InputError(f"--columns knows no role {word!r}{did_you_mean(word, NAMES)}")
    return role


def find(
    where: str, header: Sequence[str], given: Mapping[str, str], needs: Sequence[str] = ()
) -> Roles:
    """The columns of all roles that a header has.

    Parameters
    ----------
    where : str
        The file, for sentences.
    header : sequence of str
    given : dict of role → column's name, or "none"
    needs : sequence of str
        Roles of which there must be no doubt, beside the user, the item, behaviour and time.

    Raises
    ------
    InputError
        For a named column that is not there, two that fit one role, and none that is the user or
        the item.
    """
    columns, guessed = {}, []
    for role, name in given.items():
        if name != NONE or NONE in header:
            columns[role] = _existing(where, header, role, name)
    declined = tuple(role for role in given if role not in columns)
    taken = set(columns.values())
    for role in NAMES:
        if role in given:
            continue
        fitting = _fitting(role, [name for name in header if name not in taken])
        if len(fitting) > 1 and role in ("rating", "split") and role not in needs:
            continue  # nobody asked for it
        if len(fitting) > 1:
            listed = " and ".join(repr(name) for name in fitting)
            raise InputError(
                f"{where}: the columns {listed} may each be the {role}; say which with --columns "
                f"{role}={fitting[0].strip()}."
            )
        if fitting:
            columns[role] = fitting[0]
            guessed.append(role)
    missing = [role for role in (*REQUIRED, *needs) if role not in columns]
    if missing:
        raise InputError(_missing(where, header, missing))
    return Roles(columns, tuple(guessed), declined)


def fits(name: str, roles: Sequence[str]) -> bool:
    """Whether a name is known for one of these roles."""
    return any(squashed(name) in tier for role in roles for tier in NAMES[role])


def looks_like_header(cells: Sequence[str]) -> bool:
    """Whether a first line names a user's and an item's column, rather than being a row."""
    return all(_fitting(role, cells) for role in REQUIRED)


def _fitting(role: str, header: Sequence[str]) -> list[str]:
    for names in NAMES[role]:
        found = [name for name in header if squashed(name) in names]
        if found:
            return found
    return []


def _existing(where: str, header: Sequence[str], role: str, name: str) -> str:
    if name in header:
        return name
    found = [one for one in header if squashed(one) == squashed(name)]
    if len(found) != 1:
        raise InputError(
            f"{where} has no column {name!r}, which --columns names as the {role}"
            f"{did_you_mean(name, [one.strip() for one in header])}"
        )
    return found[0]


def _missing(where: str, header: Sequence[str], missing: Sequence[str]) -> str:
    listed = ", ".join(repr(name.strip()[:40]) for name in header[:12]) or "none"
    words = ",".join(f"{role}=NAME" for role in missing)
    return (
        f"{where}: found the columns {listed}, of which none is known as the "
        f"{' or the '.join(missing)}; wanted --columns {words}, or, if the file has no header, its "
        "columns in order: --columns user,item,behavior,time."
    )
