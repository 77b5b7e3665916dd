"""What was read and how, and which of it was guessed: a dictionary, and the line that says it."""

from __future__ import annotations

from typing import Any

from .dataset import Dataset

TIMES = {"dates": "dates, in UTC where they name no zone", None: "numbers of an unknown unit"}


def line(dataset: Dataset) -> str:
    """One line for people.

    >>> from pkef_fast.data import load_dataset
    >>> line(load_dataset("demo"))
    'demo: view → cart → buy, target buy; held out: a random buy of each user with at least two'
    """
    reading = dataset.reading
    parts = []
    if reading.get("roles"):
        unit = reading.get("time")
        units = f" ({TIMES.get(unit, unit)})"
        parts.append(
            ", ".join(
                f"{role} = {name}{units if role == 'time' else ''}"
                for role, name in reading["roles"].items()
            )
        )
    parts.append(f"{' → '.join(dataset.behaviors)}, target {dataset.target}")
    if reading.get("held_out"):
        parts.append(f"held out: {reading['held_out']}")
    if reading.get("skipped"):
        listed = ", ".join(f"{count} for {why}" for why, count in reading["skipped"].items())
        parts.append(f"rows left out: {listed}")
    if reading.get("guessed"):
        parts.append(f"guessed: {', '.join(reading['guessed'])}")
    return f"{dataset.name}: {'; '.join(parts)}"


def checked(reading: Any) -> dict[str, Any]:
    """A reading that a file holds; TypeError where it is none."""
    kinds = {"roles": dict, "skipped": dict, "guessed": list, "held_out": str, "rows": int}
    good = isinstance(reading, dict) and all(
        isinstance(reading[name], kind) for name, kind in kinds.items() if name in reading
    )
    texts = [*reading.get("roles", {}).items(), reading.get("guessed", [])] if good else []
    counts = reading.get("skipped", {}).values() if good else []
    if not (
        good
        and all(isinstance(text, str) for some in texts for text in some)
        and all(isinstance(count, int) for count in counts)
        and isinstance(reading.get("time"), str | None)
    ):
        raise TypeError("how a table was read is not said as it should be")
    return reading


def left_out(count: int, what: str, noun: str = "row") -> str:
    """A sentence about rows that are not used.

    >>> left_out(1, "before 2024"), left_out(7, "before 2024")
    ('1 row before 2024 was left out.', '7 rows before 2024 were left out.')
    """
    return f"{count} {noun}{'s' * (count != 1)} {what} {'was' if count == 1 else 'were'} left out."
