"""Frozen records of choices: each field has a meaning and what it may be, whoever sets it.

A model's config is a `Fields` class; values come from presets, TOML files, command lines and Python
and are checked here, alike for all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from ..errors import InputError, did_you_mean

Self = TypeVar("Self", bound="Fields")


# The order in which fields are listed, whichever class they come from: what a model is, how it is
# optimised, how much it sees, and what is a matter of the run.
GROUPS = ("model", "optimizer", "passes", "run")


def field(
    default: Any,
    text: str,
    *,
    choices: Sequence[str] = (),
    low=None,
    high=None,
    group: str = GROUPS[0],
):
    """A field with its meaning, what it may be, and the group of GROUPS that it is listed in."""
    rules = {"text": text, "choices": tuple(choices), "low": low, "high": high, "group": group}
    return dataclasses.field(default=default, metadata=rules)


@dataclass(frozen=True)
class Fields:
    """Base of configs."""

    @classmethod
    def listed(cls) -> list[dataclasses.Field]:
        """The fields, group by group."""
        return sorted(
            dataclasses.fields(cls), key=lambda item: GROUPS.index(item.metadata["group"])
        )

    def checked(self: Self, behaviors: Sequence[str]) -> Self:
        """This config for a data set's behaviours, or an InputError naming the wrong field."""
        for item in self.listed():
            _check_value(item, getattr(self, item.name))
        return self

    def replaced(self: Self, **changes: Any) -> Self:
        """A config with some fields changed; values may be strings as typed on a command line.

        Raises InputError for an unknown field or a value of the wrong kind or range.
        """
        known = {item.name: item for item in dataclasses.fields(self)}
        values = {}
        for name, value in changes.items():
            if name not in known:
                raise InputError(f"config field {name!r} is unknown{did_you_mean(name, known)}")
            values[name] = self.converted(known[name], value)
        return dataclasses.replace(self, **values)

    def as_dict(self) -> dict[str, Any]:
        """Field names and plain values as they are listed, without those that are None."""
        values = {item.name: getattr(self, item.name) for item in self.listed()}
        return {name: value for name, value in values.items() if value is not None}

    def converted(self, item: dataclasses.Field, value: Any) -> Any:
        """`value` as the field's type; strings are read as typed on a command line."""
        result = _converted(item, value)
        _check_value(item, result)
        return result


def plain(value: Any) -> str:
    """A value as a user types it."""
    if isinstance(value, tuple):
        return ",".join(str(v) for v in value) or "none"
    return str(value)


def wrong(name: str, value: Any, wanted: str) -> InputError:
    """The error for a value that a field cannot take."""
    return InputError(f"config field {name!r} cannot be {value!r}; wanted {wanted}.")


def _check_value(item: dataclasses.Field, value: Any) -> None:
    rules = item.metadata
    if value is None and _optional(item):
        return
    if rules["choices"]:
        if value not in rules["choices"]:
            raise InputError(
                f"config field {item.name!r} cannot be {value!r}"
                f"{did_you_mean(value, rules['choices'])}"
            )
        return
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, float) and not abs(one) < float("inf"):
            raise wrong(item.name, one, "a finite number")
        low, high = rules["low"], rules["high"]
        if low is not None and one < low:
            raise wrong(item.name, one, f"at least {low}")
        if high is not None and one > high:
            raise wrong(item.name, one, f"at most {high}")


def _number(kind: type, name: str, value: Any):
    """`value` as an int or float; strings may be fractions such as 4/6."""
    if isinstance(value, bool):
        raise wrong(name, value, "a number")
    try:
        exact = Fraction(value.strip()) if isinstance(value, str) else value
        number = kind(exact)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        try:
            number = exact = float(value)
        except (ValueError, TypeError):
            wanted = "a whole number" if kind is int else "a number"
            raise wrong(name, value, wanted) from None
    if kind is int and number != exact:
        raise wrong(name, value, "a whole number")
    return number


def _optional(item: dataclasses.Field) -> bool:
    """Whether a field may be None, typed as none."""
    return str(item.type).endswith("| None")


def _converted(item: dataclasses.Field, value: Any) -> Any:
    """`value` as the field's type."""
    name, kind = item.name, str(item.type)
    if _optional(item):
        if value is None or str(value).strip().lower() == "none":
            return None
        kind = kind.removesuffix("| None").strip()
    if kind.startswith("tuple"):
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)):
            parts = [parts]
        parts = [part for part in parts if str(part).strip()]
        number = int if "int" in kind else float
        result = tuple(_number(number, name, part) for part in parts)
    elif kind == "bool":
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        result = value if isinstance(value, bool) else words.get(str(value).strip().lower())
        if result is None:
            raise wrong(name, value, "true or false")
    elif kind == "int":
        result = _number(int, name, value)
    elif kind == "float":
        result = _number(float, name, value)
    else:
        result = str(value).strip()
    return result
