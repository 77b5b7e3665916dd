"""Every choice of PKEF and its training as one frozen record; what a value may be, and why.

Where the paper and the authors' release differ, both values stand beside the field; the named sets
of them are in `presets.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...config.fields import field, plain, wrong
from ...errors import InputError, did_you_mean
from ...train.config import TrainConfig
from ..by_behavior import one_each

COUPLED = ("shared_bottom", "mmoe", "ple")  # heads on the sum of all behaviours' tables
EXPERTS = {"mmoe": (0, 3), "ple": (1, 2)}  # own and shared, where the config does not say


@dataclass(frozen=True)
class PkefConfig(TrainConfig):
    """A model of K behaviours and how it is trained; the defaults are the official preset's."""

    d: int = field(64, "size of an embedding", low=1)
    layers: tuple[int, ...] = field(
        (), "graph layers of each behaviour, upstream to target; release 4,1,1 and 4,1,1,1", low=0
    )
    coefficients: tuple[float, ...] = field(
        (),
        "weight λ of each behaviour's losses; 0: no loss; release 0,4/6,2/6 and 0,4/6,0,2/6",
        low=0,
    )
    self_loops: bool = field(
        False, "a node is its own neighbour; paper yes, D⁻¹(A+I); official no, D⁻¹A"
    )
    normalization: str = field(
        "left",
        "of the adjacency: left D⁻¹A, right A·D⁻¹, symmetric D^-½ A D^-½",
        choices=("left", "right", "symmetric"),
    )
    fusion: str = field(
        "projection",
        "how parallel knowledge enters the cascade (Eq. 12, 13, Table 4); none: w/o PKF",
        choices=("projection", "vanilla", "summation", "linear", "none"),
    )
    fusion_source: str = field(
        "state",
        "the parallel knowledge: paper message Âp (Eq. 12); official state Âp + p",
        choices=("message", "state"),
    )
    fusion_scale: float = field(0.3, "factor of the fused knowledge; paper 1, official 0.3")
    head: str = field(
        "pme",
        "prediction: pme, projected experts under a gate; bilinear, w/o PME; shared_bottom, mmoe, "
        "ple on the sum of all behaviours' tables (Table 5)",
        choices=("pme", "bilinear", *COUPLED),
    )
    projection_level: str = field(
        "side",
        "what is projected: paper interaction Z_u∘Z_v (Eq. 16); official side, users, items apart",
        choices=("side", "interaction"),
    )
    projection_scale: float = field(
        0.01, "factor of projected parts: the paper's small value; official 0.01 on each side"
    )
    gate: str = field(
        "shared",
        "head pme, gate weights: paper per_behavior (Eq. 4); official shared by all behaviours; "
        "none, every expert weighs 1",
        choices=("shared", "per_behavior", "none"),
    )
    shared_experts: bool = field(
        True, "head pme: whether the other behaviours' projections are experts; no: the own alone"
    )
    relation: str = field(
        "diagonal",
        "head bilinear: diagonal, a weight a column; full, a d × d matrix a behaviour",
        choices=("diagonal", "full"),
    )
    coupling: str = field(
        "ones",
        "weights of the behaviours' tables in the sum that shared_bottom, mmoe and ple read: ones; "
        "coefficients, λ; learned, a softmax",
        choices=("ones", "coefficients", "learned"),
    )
    bottom_input: str = field(
        "concatenation",
        "head shared_bottom: its input, user ‖ item or user ∘ item",
        choices=("concatenation", "hadamard"),
    )
    literal: bool = field(
        False,
        "head shared_bottom: no hidden layer, as in earlier code; on the concatenation all users "
        "then have one ranking",
    )
    experts: tuple[int, ...] = field(
        (),
        "heads mmoe, ple: experts of each behaviour's own, and shared ones; empty: 0,3 and 1,2",
        low=0,
    )
    score_scale: float = field(
        300.0, "factor of every score, the temperature of BPR; official 300; 10 suits the paper"
    )
    unique_loss: bool = field(
        True,
        "whether what one behaviour alone knows has a loss (Eq. 20); false for w/o PME, and for "
        "shared_bottom, mmoe and ple, which have no such part",
    )
    unique_positives: str = field(
        "target_only",
        "positives of pair (k', k): paper upstream_only, in k' not in k (Eq. 20); "
        "official target_only, in k not in k'",
        choices=("target_only", "upstream_only"),
    )
    unique_excluded: tuple[int, ...] = field(
        (), "behaviours (numbers from 0, or names) in no unique pair; official Tmall 2 (cart)"
    )
    loss: str = field(
        "bpr",
        "official bpr, pairs; softmax: each positive against all of the user's negatives at once",
        choices=("bpr", "softmax"),
    )
    negatives: int = field(1, "negatives drawn for each positive; official 1", low=1)
    popular_negatives: float = field(
        0.0, "share of negatives drawn by popularity; official 0, all evenly", low=0, high=1
    )
    popularity_exponent: float = field(
        0.75, "popularity is a behaviour's count of the item to this power", low=0
    )
    batch_negatives: float = field(
        0.0, "share of negatives that are positives of the batch's users; official 0", low=0, high=1
    )
    behavior_weights: str = field(
        "fixed",
        "official fixed, λ alone; learned: λ·(e^−s·loss + s/2), s trained for each behaviour",
        choices=("fixed", "learned"),
    )
    loss_scale: float = field(3.0, "factor of the data loss; official 3", low=0)
    loss_reduction: str = field(
        "mean",
        "over a term's rows: official mean; sum as the paper's equations are written",
        choices=("mean", "sum"),
    )
    regularization: float = field(
        0.01, "penalty μ on the squares of tables and weights, not biases; official 0.01", low=0
    )
    lr_decay: float = field(
        0.96, "factor of the learning rate at each decay; official 0.96", low=0, group="optimizer"
    )
    lr_decay_steps: int = field(
        39, "steps between decays; official 39 = 10000 // 256", low=1, group="optimizer"
    )
    adam_form: str = field(
        "tensorflow",
        "where epsilon stands: official tensorflow √v + ε before the bias correction, pytorch "
        "after",
        choices=("tensorflow", "pytorch"),
        group="optimizer",
    )
    epochs: int = field(100, "most passes of training; official 100", low=0, group="passes")
    users_per_epoch: int = field(
        10000, "users drawn for an epoch; all, if fewer", low=1, group="passes"
    )
    batch_users: int = field(256, "users of a step", low=1, group="passes")
    samples_per_user: int = field(
        40, "most positives of a user, behaviour and step", low=1, group="passes"
    )

    @property
    def expert_counts(self) -> tuple[int, int]:
        """Experts of each behaviour's own, and shared ones, of head mmoe or ple."""
        own, shared = self.experts or EXPERTS[self.head]
        return own, shared

    def checked(self, behaviors: Sequence[str]) -> PkefConfig:
        """This config with behaviour names resolved, or an InputError naming the wrong field.

        Parameters
        ----------
        behaviors : sequence of K str
            The data set's behaviours, upstream → target.
        """
        excluded = tuple(_behavior_number(name, behaviors) for name in self.unique_excluded)
        config = super(PkefConfig, dataclasses.replace(self, unique_excluded=excluded)).checked(
            behaviors
        )
        for name in ("layers", "coefficients"):
            config = one_each(config, name, behaviors)
        if config.popular_negatives + config.batch_negatives > 1:
            raise InputError(
                f"config fields 'popular_negatives' {config.popular_negatives:g} and "
                f"'batch_negatives' {config.batch_negatives:g} are shares of one whole; wanted a "
                "sum of at most 1."
            )
        config._check_head()
        if not any(config.coefficients):
            raise InputError(
                "config field 'coefficients' is all zeros; at least one behaviour needs a loss."
            )
        return config

    def _check_head(self) -> None:
        if self.unique_loss and self.head in COUPLED:
            raise InputError(
                f"config field 'unique_loss' is true, but head {self.head!r} has no part that one "
                "behaviour alone knows; set unique_loss=false."
            )
        if self.head in EXPERTS and self.experts:
            if len(self.experts) != 2:
                raise wrong("experts", plain(self.experts), "two numbers: own experts, shared ones")
            if not any(self.experts):
                raise wrong("experts", plain(self.experts), "at least one expert")
            if self.head == "mmoe" and self.experts[0]:
                raise wrong(
                    "experts", plain(self.experts), "0 own experts for head mmoe; ple has them"
                )

    def converted(self, item: dataclasses.Field, value: Any) -> Any:
        """`value` as the field's type; behaviour names wait for `checked`."""
        if item.name != "unique_excluded":
            return super().converted(item, value)
        parts = value.split(",") if isinstance(value, str) else value
        texts = [
            str(part).strip() for part in (parts if isinstance(parts, (list, tuple)) else [parts])
        ]
        return tuple(int(text) if text.isdecimal() else text for text in texts if text)


def _behavior_number(name: int | str, behaviors: Sequence[str]) -> int:
    if isinstance(name, int) or str(name).isdecimal():
        number = int(name)
        if not 0 <= number < len(behaviors):
            raise wrong(
                "unique_excluded", number, f"behaviour numbers from 0 to {len(behaviors) - 1}"
            )
        return number
    if name not in behaviors:
        raise InputError(
            f"config field 'unique_excluded': behaviour {name!r} is unknown"
            f"{did_you_mean(name, behaviors)}"
        )
    return list(behaviors).index(name)
