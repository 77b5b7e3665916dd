"""Every choice of a model and its training as one frozen record; what a value may be, and why.

Where the paper and the authors' release differ, both values stand beside the field; the named sets
of them are in `presets.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import InputError, did_you_mean


def _field(default: Any, text: str, *, choices: Sequence[str] = (), low=None, high=None):
    """A field with its meaning and what it may be."""
    metadata = {"text": text, "choices": tuple(choices), "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """A model of K behaviours and how it is trained; the defaults are the official preset's."""

    d: int = _field(64, "size of an embedding", low=1)
    layers: tuple[int, ...] = _field(
        (), "graph layers of each behaviour, upstream to target; release 4,1,1 and 4,1,1,1", low=0
    )
    coefficients: tuple[float, ...] = _field(
        (),
        "weight λ of each behaviour's losses; 0: no loss; release 0,4/6,2/6 and 0,4/6,0,2/6",
        low=0,
    )
    self_loops: bool = _field(
        False, "a node is its own neighbour; paper yes, D⁻¹(A+I); official no, D⁻¹A"
    )
    normalization: str = _field(
        "left",
        "of the adjacency: left D⁻¹A, right A·D⁻¹, symmetric D^-½ A D^-½",
        choices=("left", "right", "symmetric"),
    )
    fusion: str = _field(
        "projection",
        "how parallel knowledge enters the cascade (Eq. 12, 13, Table 4); none: w/o PKF",
        choices=("projection", "vanilla", "summation", "linear", "none"),
    )
    fusion_source: str = _field(
        "state",
        "the parallel knowledge: paper message Âp (Eq. 12); official state Âp + p",
        choices=("message", "state"),
    )
    fusion_scale: float = _field(0.3, "factor of the fused knowledge; paper 1, official 0.3")
    head: str = _field(
        "pme",
        "prediction: pme, projected experts under a gate; bilinear, w/o PME",
        choices=("pme", "bilinear"),
    )
    projection_level: str = _field(
        "side",
        "what is projected: paper interaction Z_u∘Z_v (Eq. 16); official side, users, items apart",
        choices=("side", "interaction"),
    )
    projection_scale: float = _field(
        0.01, "factor of projected parts: the paper's small value; official 0.01 on each side"
    )
    gate: str = _field(
        "shared",
        "gate weights: paper per_behavior (Eq. 4); official shared by all behaviours",
        choices=("shared", "per_behavior"),
    )
    score_scale: float = _field(
        300.0, "factor of every score, the temperature of BPR; official 300; 10 suits the paper"
    )
    unique_positives: str = _field(
        "target_only",
        "positives of pair (k', k): paper upstream_only, in k' not in k (Eq. 20); "
        "official target_only, in k not in k'",
        choices=("target_only", "upstream_only"),
    )
    unique_excluded: tuple[int, ...] = _field(
        (), "behaviours (numbers from 0, or names) in no unique pair; official Tmall 2 (cart)"
    )
    loss_scale: float = _field(3.0, "factor of the data loss; official 3", low=0)
    loss_reduction: str = _field(
        "mean",
        "over a term's rows: official mean; sum as the paper's equations are written",
        choices=("mean", "sum"),
    )
    regularization: float = _field(
        0.01, "penalty μ on the squares of tables and weights, not biases; official 0.01", low=0
    )
    lr: float = _field(0.001, "learning rate at the start", low=0)
    lr_decay: float = _field(0.96, "factor of the learning rate at each decay", low=0)
    lr_decay_steps: int = _field(39, "steps between decays; official 39 = 10000 // 256", low=1)
    beta1: float = _field(0.9, "Adam: decay of the first moment", low=0, high=1)
    beta2: float = _field(0.999, "Adam: decay of the second moment", low=0, high=1)
    adam_epsilon: float = _field(1e-8, "Adam: added to the root of the second moment", low=0)
    adam_form: str = _field(
        "tensorflow",
        "where epsilon stands: tensorflow √v + ε before the bias correction, pytorch after",
        choices=("tensorflow", "pytorch"),
    )
    epochs: int = _field(100, "passes of training; official 100", low=0)
    users_per_epoch: int = _field(10000, "users drawn for an epoch; all, if fewer", low=1)
    batch_users: int = _field(256, "users of a step", low=1)
    samples_per_user: int = _field(40, "most positives of a user, behaviour and step", low=1)
    seed: int = _field(42, "of tables and samples; official 42", low=0, high=2**63 - 1)
    precision: str = _field("float32", "of tables and kernels", choices=("float32", "float64"))

    def checked(self, behaviors: Sequence[str]) -> Config:
        """This config with behaviour names resolved, or an InputError naming the wrong field.

        Parameters
        ----------
        behaviors : sequence of K str
            The data set's behaviours, upstream → target.
        """
        excluded = tuple(_behavior_number(name, behaviors) for name in self.unique_excluded)
        config = dataclasses.replace(self, unique_excluded=excluded)
        for item in dataclasses.fields(config):
            _check_value(item, getattr(config, item.name))
        for name in ("layers", "coefficients"):
            values = getattr(config, name)
            if len(values) != len(behaviors):
                raise InputError(
                    f"config field {name!r} has {len(values)} values, {_plain(values)}; wanted one "
                    f"for each of the {len(behaviors)} behaviours {', '.join(behaviors)}."
                )
        if not any(config.coefficients):
            raise InputError(
                "config field 'coefficients' is all zeros; at least one behaviour needs a loss."
            )
        return config

    def replaced(self, **changes: Any) -> Config:
        """A config with some fields changed; values may be strings as typed on a command line.

        Raises InputError for an unknown field or a value of the wrong kind or range.
        """
        known = {item.name: item for item in dataclasses.fields(self)}
        values = {}
        for name, value in changes.items():
            if name not in known:
                raise InputError(f"config field {name!r} is unknown{did_you_mean(name, known)}")
            values[name] = _converted(known[name], value)
        return dataclasses.replace(self, **values)

    def as_dict(self) -> dict[str, Any]:
        """Field names and plain values, in the order of the fields."""
        return dataclasses.asdict(self)


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(v) for v in value) or "none"
    return str(value)


def _wrong(name: str, value: Any, wanted: str) -> InputError:
    return InputError(f"config field {name!r} cannot be {value!r}; wanted {wanted}.")


def _behavior_number(name: int | str, behaviors: Sequence[str]) -> int:
    if isinstance(name, int) or str(name).isdigit():
        number = int(name)
        if not 0 <= number < len(behaviors):
            raise _wrong(
                "unique_excluded", number, f"behaviour numbers from 0 to {len(behaviors) - 1}"
            )
        return number
    if name not in behaviors:
        raise InputError(
            f"config field 'unique_excluded': behaviour {name!r} is unknown"
            f"{did_you_mean(name, behaviors)}"
        )
    return list(behaviors).index(name)


def _check_value(item: dataclasses.Field, value: Any) -> None:
    rules = item.metadata
    if rules["choices"]:
        if value not in rules["choices"]:
            raise InputError(
                f"config field {item.name!r} cannot be {value!r}"
                f"{did_you_mean(value, rules['choices'])}"
            )
        return
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, float) and not abs(one) < float("inf"):
            raise _wrong(item.name, one, "a finite number")
        low, high = rules["low"], rules["high"]
        if low is not None and one < low:
            raise _wrong(item.name, one, f"at least {low}")
        if high is not None and one > high:
            raise _wrong(item.name, one, f"at most {high}")


def _number(kind: type, name: str, value: Any):
    """`value` as an int or float; strings may be fractions such as 4/6."""
    if isinstance(value, bool):
        raise _wrong(name, value, "a number")
    try:
        exact = Fraction(value.strip()) if isinstance(value, str) else value
        number = kind(exact)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        try:
            number = exact = float(value)
        except (ValueError, TypeError):
            wanted = "a whole number" if kind is int else "a number"
            raise _wrong(name, value, wanted) from None
    if kind is int and number != exact:
        raise _wrong(name, value, "a whole number")
    return number


def _converted(item: dataclasses.Field, value: Any) -> Any:
    """`value` as the field's type."""
    name, kind = item.name, str(item.type)
    if kind.startswith("tuple"):
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)):
            parts = [parts]
        parts = [part for part in parts if str(part).strip()]
        if name == "unique_excluded":  # names are resolved when the behaviours are known
            return tuple(
                int(part) if str(part).strip().isdigit() else str(part).strip() for part in parts
            )
        number = int if "int" in kind else float
        result = tuple(_number(number, name, part) for part in parts)
    elif kind == "bool":
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        result = value if isinstance(value, bool) else words.get(str(value).strip().lower())
        if result is None:
            raise _wrong(name, value, "true or false")
    elif kind == "int":
        result = _number(int, name, value)
    elif kind == "float":
        result = _number(float, name, value)
    else:
        result = str(value).strip()
    _check_value(item, result)
    return result
