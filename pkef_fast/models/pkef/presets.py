"""The two readings of PKEF, a better trained one, and what it is compared with, as sets of values.

`official` is what the authors' released code computes and what produced the published numbers;
`paper` is what the equations say; `wide` is official with the training options that won on
validation items (bench/results/training.md). Only the differences are listed: everything else is a
default of `PkefConfig`, which are the official ones.

The others change one thing of `official` each: the ablations of Table 3, the fusion schemes of
Table 4, the heads of Table 5, and single choices of the released code.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InputError, did_you_mean
from .config import PkefConfig

PRESETS: dict[str, dict] = {
    "official": {},
    "paper": {
        "self_loops": True,  # D⁻¹(A + I), Eq. 8
        "fusion_source": "message",  # Eq. 12
        "fusion_scale": 1.0,  # Eq. 12 has no factor
        "projection_level": "interaction",  # Eq. 15, 16
        "gate": "per_behavior",  # Eq. 4
        # The paper names no temperature. Its scores are larger than the official reading's: 300
        # saturates BPR, 10 trains.
        "score_scale": 10.0,
        "unique_positives": "upstream_only",  # Eq. 20
    },
    "wide": {"d": 128, "negatives": 4},
    # Table 3
    "base": {"fusion": "none", "head": "bilinear", "unique_loss": False},
    "without-pkf": {"fusion": "none"},
    "without-pme": {"head": "bilinear", "unique_loss": False},
    # Table 4
    "summation": {"fusion": "summation"},
    "linear": {"fusion": "linear"},
    "vanilla": {"fusion": "vanilla"},
    # Table 5; PKF + Bilinear is without-pme
    "bilinear-full": {"head": "bilinear", "relation": "full", "unique_loss": False},
    "shared-bottom": {"head": "shared_bottom", "unique_loss": False},
    "shared-bottom-hadamard": {
        "head": "shared_bottom",
        "bottom_input": "hadamard",
        "unique_loss": False,
    },
    "shared-bottom-literal": {"head": "shared_bottom", "literal": True, "unique_loss": False},
    "mmoe": {"head": "mmoe", "unique_loss": False},
    "ple": {"head": "ple", "unique_loss": False},
    # single choices
    "own-expert": {"shared_experts": False},  # PME with slot 0 alone
    "without-gate": {"gate": "none"},
    "without-unique": {"unique_loss": False},
    "unscaled": {"score_scale": 1.0},  # no factor 300
    "self-loops": {"self_loops": True},  # D⁻¹(A + I)
    "full-fusion": {"fusion_scale": 1.0},
}


def layers_of(n_behaviors: int) -> tuple[int, ...]:
    """(4, 1, …, 1): deep where interactions are many. Release, for three and four behaviours."""
    return (4,) + (1,) * (n_behaviors - 1)


def coefficients_of(n_behaviors: int) -> tuple[float, ...]:
    """λ of each behaviour.

    Release: (0, 4/6, 2/6) for three, (0, 4/6, 0, 2/6) for Tmall's four. Our choice for other
    numbers, after the same pattern: the target has 2/6, the first of several auxiliaries 0, the
    other auxiliaries share 4/6.
    """
    if n_behaviors == 4:
        return (0.0, 4 / 6, 0.0, 2 / 6)
    if n_behaviors == 1:
        return (1.0,)
    if n_behaviors == 2:
        return (4 / 6, 2 / 6)
    between = n_behaviors - 2
    return (0.0, *(4 / 6 / between,) * between, 2 / 6)


def experts_of(head: str, n_behaviors: int) -> tuple[int, ...]:
    """Own and shared experts: three in all for three behaviours, four for Tmall's four (Fig. 7).

    One of a behaviour's own in PLE, none in MMoE; other heads have none at all.
    """
    count = max(3, n_behaviors)
    return {"mmoe": (0, count), "ple": (1, count - 1)}.get(head, ())


def preset(name: str, behaviors: Sequence[str]) -> PkefConfig:
    """The config of a preset for these behaviours (upstream → target).

    Raises InputError for an unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is unknown{did_you_mean(name, PRESETS)}")
    n_behaviors = len(behaviors)
    # The release leaves Tmall's third behaviour, an almost empty cart, out of all unique pairs.
    excluded = (2,) if name != "paper" and n_behaviors == 4 else ()
    return PkefConfig(
        layers=layers_of(n_behaviors),
        coefficients=coefficients_of(n_behaviors),
        unique_excluded=excluded,
        experts=experts_of(PRESETS[name].get("head", ""), n_behaviors),
        **PRESETS[name],
    )
