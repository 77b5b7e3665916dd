"""What a user may say about a table: roles, names, cells, and how it is split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ...arguments import whole
from ...errors import InputError, did_you_mean
from .roles import NAMES, role_named, squashed

SPLITS = ("time", "random", "global-time", "none")
LEAVE_OUT = ("target", "all")
Columns = Mapping[str, str] | Sequence[str] | str


@dataclass(frozen=True)
class TableOptions:
    """Options of `load_dataset` that only tables have; None and "" stand for: found out, or not.

    Attributes
    ----------
    columns : dict of role → column, sequence of names, or text as `--columns` has it
        Roles are user, item, behavior, time, rating and split. A sequence names the columns of a
        file without header, in order.
    rename_behaviors : dict or text
        Behaviours' names in the data → names here; several may become one.
    ratings : dict or text
        Least rating → behaviour.
    separator : str
        Between the cells of a text table.
    bad_rows : str
        "stop"; or "skip", "skip:N", "skip:P%": leave rows out that cannot be read, at most so many.
    time_format : str
        Of `strptime`, for times as text.
    split : str
        "time", "random", "none", or "global-time=DATE" or "global-time=SHARE".
    leave_out : str
        "target" or "all".
    since : str
        Earlier interactions are left out: a date, or a number in the table's unit.
    k_core : int
        Users and items with fewer target interactions are left out, until none is.
    seed : int
        Of the random split, and of ties in time.
    """

    columns: Columns | None = None
    rename_behaviors: Mapping[str, str] | str | None = None
    ratings: Mapping[float, str] | str | None = None
    separator: str | None = None
    bad_rows: str = "stop"
    time_format: str | None = None
    split: str | None = None
    leave_out: str = "target"
    since: str | None = None
    k_core: int | None = None
    seed: int = 0

    def __post_init__(self):
        self.allowed, self.split_by, self.roles  # noqa: B018 - they refuse what cannot be
        one_of("leave_out", self.leave_out, LEAVE_OUT)
        if self.leave_out == "all" and self.split_by[0] in ("none", "global-time"):
            raise InputError(
                f"--leave-out all cannot be used with --split {self.split}: it takes nothing out."
            )
        object.__setattr__(self, "seed", whole("seed", self.seed, 0))
        if self.k_core is not None:
            object.__setattr__(self, "k_core", whole("k_core", self.k_core, 1))

    @classmethod
    def of(cls, **options: Any) -> TableOptions:
        """Options by name; InputError for one that there is not."""
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise InputError(f"a data set has no option {name!r}{did_you_mean(name, known)}")
        return cls(**options)

    def refuse(self, what: str) -> None:
        """InputError for options where there is no table that they could be about."""
        told = [name for name in self.used if name not in ("seed", "leave_out")]
        if told:
            raise InputError(
                f"{what}, which comes split already: {', '.join(told)} cannot be used; wanted a "
                "table of interactions."
            )

    @property
    def used(self) -> dict[str, Any]:
        """Those that are not as they are by default, as text or numbers."""
        pairs = ((one.name, getattr(self, one.name), one.default) for one in fields(self))
        return {name: _plain(value) for name, value, default in pairs if value != default}

    @property
    def in_order(self) -> tuple[str, ...] | None:
        """Names of a headerless file's columns; None where none were given."""
        columns = self.columns
        if isinstance(columns, str):
            columns = [one.strip() for one in columns.split(",")]
            if any("=" in one for one in columns):
                return None
        if columns is None or isinstance(columns, Mapping):
            return None
        if len(columns) != len(set(columns)):
            raise InputError(f"--columns names a column twice: {', '.join(columns)}.")
        return tuple(columns)

    @property
    def roles(self) -> dict[str, str]:
        """Role → column, as far as they were said."""
        if self.in_order is not None:
            known = [(role, one) for one in self.in_order if (role := _role(one))]
        else:
            given = pairs_of("columns", self.columns, "user=visitorid")
            known = [(role_named(role), name) for role, name in given.items()]
        roles = dict(known)
        if len(roles) < len(known):
            twice = next(role for role, _ in known if [one for one, _ in known].count(role) > 1)
            listed = " and ".join(name for role, name in known if role == twice)
            raise InputError(f"--columns has two for the {twice}: {listed}; wanted one.")
        return roles

    @property
    def renamed(self) -> dict[str, str]:
        """Name in the data → name here."""
        return pairs_of("rename-behaviors", self.rename_behaviors, "1=view")

    @property
    def rated(self) -> dict[float, str]:
        """Least rating → behaviour, rising."""
        given = pairs_of("ratings", self.ratings, "4=like")
        try:
            found = dict(sorted((float(least), name) for least, name in given.items()))
        except ValueError as error:
            raise InputError(f"--ratings: {error}; wanted numbers, as 4=like.") from None
        if len(set(found.values())) < len(given):
            raise InputError("--ratings names a behavior or a rating twice; wanted each once.")
        return found

    @property
    def allowed(self) -> tuple[int | None, float | None] | None:
        """Rows, or a share of the rows, that may be skipped; None: not one; (None, None): any."""
        word, _, most = str(self.bad_rows).partition(":")
        if word == "stop" and not most:
            return None
        try:
            if word == "skip" and not most:
                return (None, None)
            if word == "skip" and most.endswith("%") and 0 <= float(most[:-1]) <= 100:
                return (None, float(most[:-1]) / 100)
            if word == "skip" and int(most) >= 0:
                return (int(most), None)
        except ValueError:
            pass
        raise InputError(
            f"--bad-rows cannot be {self.bad_rows!r}; wanted stop, skip, skip:100 or skip:0.5%."
        )

    @property
    def split_by(self) -> tuple[str | None, str | None]:
        """The kind of split and, for global-time, from when on."""
        if self.split is None:
            return None, None
        kind, _, value = str(self.split).partition("=")
        one_of("split", kind, SPLITS)
        if (kind == "global-time") != bool(value):
            raise InputError(
                f"--split cannot be {self.split!r}; wanted time, random, none, or "
                "global-time=2017-12-03 or global-time=0.1."
            )
        return kind, value or None


def pairs_of(option: str, given: Any, example: str) -> dict[str, str]:
    """An option of the form a=b,c=d, or a dict, as a dict of texts."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(key).strip(): str(value).strip() for key, value in given.items()}
    result = {}
    for pair in str(given).split(","):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise InputError(f"--{option} {pair.strip()!r}: wanted name=value, as {example}.")
        if key in result:
            raise InputError(f"--{option} names {key!r} twice; wanted it once.")
        result[key] = value
    return result


def one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    """InputError unless a value is among the choices."""
    if value not in choices:
        raise InputError(f"{name} cannot be {value!r}{did_you_mean(value, choices)}")


def _role(name: str) -> str | None:
    """The role that a name in a list of names stands for; None for columns that are not read."""
    try:
        return role_named(name)
    except InputError:
        known = (role for role, tiers in NAMES.items() if squashed(name) in tiers[0])
        return next(known, None)


def _plain(value: Any) -> Any:
    """A value as an option's text has it; as JSON has it, where names hold what separates them."""
    if isinstance(value, Mapping):
        texts = {str(key): str(one) for key, one in value.items()}
        plain = not any(mark in text for pair in texts.items() for text in pair for mark in ",=")
        return ",".join(f"{key}={one}" for key, one in texts.items()) if plain else texts
    if isinstance(value, (list, tuple)):
        plain = not any(mark in str(one) for one in value for mark in ",=")
        return ",".join(map(str, value)) if plain else [str(one) for one in value]
    return value if isinstance(value, (str, int, float)) else str(value)
