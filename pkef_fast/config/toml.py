"""TOML out (a comment for each key) and in; Python reads TOML but does not write it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .fields import Fields

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)  # the shortest text that reads back as the same float
    if isinstance(value, str):
        # JSON's strings are TOML's but for DEL, and for letters as two halves beyond 16 bits.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(_value(item) for item in value) + "]"


def dump(config: Fields, tables: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """A config as TOML, one comment a field, followed by further tables."""
    lines = []
    for item in config.listed():
        choices = item.metadata["choices"]
        known = f" [{' | '.join(choices)}]" if choices else ""
        value = getattr(config, item.name)
        lines.append(f"# {item.metadata['text']}{known}")
        # TOML has no null: a field that is not set is shown, but as a comment.
        lines.append(f"# {item.name} = …" if value is None else f"{item.name} = {_value(value)}")
    for name, values in (tables or {}).items():
        there = {key: value for key, value in values.items() if value is not None}
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in there.items())]
    return "\n".join(lines) + "\n"


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Fields and tables of a TOML file: ({field: value}, {table: {key: value}})."""
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; wanted a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}.") from error
    fields = {name: value for name, value in content.items() if not isinstance(value, dict)}
    return fields, {name: value for name, value in content.items() if isinstance(value, dict)}
