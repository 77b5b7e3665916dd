"""Searching a model's fields by validation: Optuna proposes, this trains and measures.

The study sees one data set: the validation split of the train data, by the data set's own
validation pairs where it has some. The test items are not in it, so nothing that a search does or
writes can depend on them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..config import toml
from ..config.fields import Fields
from ..config.space import Choice, Space
from ..data.dataset import Dataset
from ..device import Device
from ..errors import InputError, TrainingError, did_you_mean
from ..evaluate.protocols import names_of, protocols
from ..holdout.validation import validation_items, validation_split
from ..models import model_class
from ..recommender import Recommender
from ..store.files import write_text
from ..train.callbacks import Callback
from ..train.fit import Fit

METRICS = ("HR@10", "NDCG@10", "MRR")
PRUNERS = ("median", "halving", "none")
STARTUP = 8  # trials before the search and the pruner have an opinion


class Trial(NamedTuple):
    """One finished trial: its value, the epoch that gave it (0: nothing to train), its fields.

    A trial that was given up, or whose loss was not finite, has the value it had then, or NaN.
    """

    number: int
    value: float
    epoch: int
    fields: dict[str, Any]
    pruned: bool


class Tuned(NamedTuple):
    """The best config, and the trials of the whole study in order."""

    config: Fields
    best: Trial
    trials: list[Trial]


class Search:
    """A search over one model's space on one data set.

    Parameters
    ----------
    dataset : Dataset
        Its test items are dropped before anything else is done.
    model, preset : str
        `preset` None: the model's own for the data set.
    changes : dict
        Fields that are fixed; they are left out of the search.
    metric : {"HR@10", "NDCG@10", "MRR"}
    protocol : {"paper", "discovery", "return"}
    visible : float
        Share of the validation items that stays in the other behaviours; see `validation_items`.
    seed : int
        Of the proposals and of the validation items.
    pruner : {"median", "halving", "none"}
        When a trial is given up: below the median of the others at its epoch, or by successive
        halving.
    device : str or Device

    Raises
    ------
    InputError
        For a choice that is not there, and where nobody can be validated on.
    """

    def __init__(
        self,
        dataset: Dataset,
        model: str = "pkef",
        preset: str | None = None,
        changes: dict[str, Any] | None = None,
        *,
        metric: str = "HR@10",
        protocol: str = "paper",
        visible: float = 1.0,
        seed: int = 0,
        pruner: str = "median",
        device: str | int | Device = "cpu",
    ):
        chosen = model_class(model)
        for name, value, known in (("metric", metric, METRICS), ("pruner", pruner, PRUNERS)):
            if value not in known:
                raise InputError(f"{name} {value!r} is unknown{did_you_mean(value, known)}")
        if len(names_of(protocol)) > 1:
            raise InputError(f"protocol {protocol!r} is several; a search goes by one of them.")
        self.published = dataset.validation is not None
        self.data = validation_split(dataset, validation_items(dataset, visible, seed))
        if not protocols(self.data, [protocol])[0].chosen.any():
            raise InputError(
                f"no validation user of data set {dataset.name!r} counts under the protocol "
                f"{protocol!r}; choose another one."
            )
        self.source = {k: v for k, v in dataset.source.items() if k != "fingerprint"}
        self.model, self.preset = model, preset or chosen.default_preset(dataset.name)
        self.changes = dict(changes or {})
        behaviors = dataset.behaviors
        self.base = chosen.preset(self.preset, behaviors).replaced(**self.changes)
        self.base.checked(behaviors)
        if chosen.trained and self.base.epochs < 1:
            raise InputError("a trial of 0 epochs trains nothing; wanted at least 1 epoch.")
        self.space: Space = tuple(
            one for one in chosen.space(behaviors) if one.field not in self.changes
        )
        if not self.space:
            raise InputError(f"every field of model {model!r}'s search space is fixed; free one.")
        self.metric, self.protocol, self.visible = metric, protocol, visible
        self.seed, self.pruner, self.device = seed, pruner, device

    # ---- one trial ----------------------------------------------------------------------------

    def _proposed(self, trial) -> dict[str, Any]:
        """Values for the space's fields, by Optuna."""
        values: dict[str, Any] = {}
        for one in self.space:
            if isinstance(one, Choice):
                values[one.field] = trial.suggest_categorical(one.field, one.values)
                continue
            low, high = one.bounds(values)
            whole = isinstance(one.low, int) and isinstance(one.high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            values[one.field] = suggest(one.field, low, high, log=one.log)
        return values

    def _objective(self, trial) -> float:
        import optuna

        config = self.base.replaced(**self._proposed(trial))
        recommender = Recommender(self.model, self.preset, self.device, config)
        watch = _Watch(trial, self.metric)
        try:
            # The held-out items of this data are the validation items.
            recommender.fit(
                self.data,
                eval_every=1,
                protocol=self.protocol,
                select="last",
                callbacks=[watch],
            )
        except TrainingError as error:  # this learning rate diverges: not a reason to stop
            raise optuna.TrialPruned(str(error)) from error
        if not recommender.model_class.trained:
            watch.take(0, recommender.evaluation[self.metric])
        return watch.best

    # ---- the study ----------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """What all trials of a study must have in common."""
        return {
            "model": self.model,
            "preset": self.preset,
            "fixed": {name: str(value) for name, value in self.changes.items()},
            "metric": self.metric,
            "protocol": self.protocol,
            "visible": self.visible,
            "seed": self.seed,
            "validation": self.data.fingerprint(),
            "space": [str(one) for one in self.space],
        }

    def run(
        self,
        study_file: str | os.PathLike[str],
        trials: int,
        timeout: float | None = None,
        on_trial: Callable[[Trial, Trial | None], None] = lambda trial, best: None,
    ) -> Tuned:
        """Make trials until the study has so many in all, or `timeout` seconds are over.

        The study lies in an SQLite file, and goes on from there if it exists. `on_trial` gets each
        trial and the best one so far.

        Raises
        ------
        InputError
            When Optuna is missing, the file is another study's or none, or no trial came to an end.
        """
        optuna = _optuna()
        if trials < 1:
            raise InputError(f"trials cannot be {trials}; wanted at least 1.")
        if timeout is not None and not timeout > 0:
            raise InputError(f"timeout cannot be {timeout:g}; wanted more than 0 seconds.")
        study = self._study(optuna, Path(study_file))
        left = trials - len(_ended(study))

        def told(study, trial):
            on_trial(_trial(trial), _best(study))

        if left > 0:
            study.optimize(self._objective, n_trials=left, timeout=timeout, callbacks=[told])
        return self._result(study, study_file)

    def _result(self, study, study_file) -> Tuned:
        best = _best(study)
        if best is None:
            raise InputError(
                f"no trial of {study_file} came to its end, so there is no best config; allow more "
                "trials or more time."
            )
        config = self.base.replaced(**best.fields)
        if best.epoch:
            config = config.replaced(epochs=best.epoch)
        return Tuned(
            config.checked(self.data.behaviors), best, [_trial(one) for one in _ended(study)]
        )

    def _study(self, optuna, path: Path):
        if path.exists() and not path.read_bytes()[:16].startswith(b"SQLite format 3"):
            raise InputError(f"{path} is not a study: wanted an SQLite file, or a new name.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            study = optuna.create_study(
                study_name="pkef-fast",
                storage=f"sqlite:///{path}",
                load_if_exists=True,
                direction="maximize",
            )
        except Exception as error:  # SQLAlchemy's and Optuna's own, of many kinds
            raise InputError(
                f"{path} cannot be used as a study: {str(error).splitlines()[0]}"
            ) from error
        facts, found = self._facts(), study.user_attrs
        for name, value in facts.items():
            if name not in found:
                study.set_user_attr(name, value)
            elif found[name] != value:
                raise InputError(
                    f"{path} is a study of another search: its {name} is {found[name]!r}, this "
                    f"one's {value!r}; choose another --study."
                )
        # Proposals go on where they were; a study that resumes does not repeat its first ones.
        study.sampler = optuna.samplers.TPESampler(
            seed=self.seed + len(study.trials), n_startup_trials=STARTUP
        )
        study.pruner = {
            "median": optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=2),
            "halving": optuna.pruners.SuccessiveHalvingPruner(),
            "none": optuna.pruners.NopPruner(),
        }[self.pruner]
        return study

    def toml(self, found: Tuned) -> str:
        """The best config, as `train --config` takes it, with where it came from."""
        tables = {
            "data": self.source,
            "run": {"model": self.model, "preset": self.preset},
            "tune": {
                "metric": self.metric,
                "protocol": self.protocol,
                "validation": found.best.value,
                "visible": self.visible,
                "published": self.published,
                "seed": self.seed,
                "trials": len(found.trials),
            },
        }
        return toml.dump(found.config, tables)

    def write(self, found: Tuned, path: str | os.PathLike[str]) -> None:
        """Write that, whole or not at all."""
        write_text(path, self.toml(found))


class _Watch(Callback):
    """Reports each epoch's figure to the trial, and ends it where the pruner says so."""

    def __init__(self, trial, metric: str):
        self.trial, self.metric = trial, metric
        self.best = -math.inf

    def take(self, epoch: int, value: float) -> None:
        """Remember the best epoch."""
        if value > self.best:
            self.best = value
            self.trial.set_user_attr("epoch", epoch)

    def finished_epoch(self, fit: Fit, record: dict[str, Any]) -> None:
        import optuna

        value = record[self.metric]
        self.take(record["epoch"], value)
        self.trial.report(value, record["epoch"])
        if self.trial.should_prune():
            raise optuna.TrialPruned


def _trial(found) -> Trial:
    pruned = found.state.name == "PRUNED"
    value = math.nan if found.value is None else found.value
    return Trial(found.number, value, found.user_attrs.get("epoch", 0), found.params, pruned)


def _ended(study) -> list:
    """Trials that came to an end or were given up, not those that were interrupted."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def _best(study) -> Trial | None:
    """The best trial that came to its end; the earlier one of equals."""
    ended = [trial for trial in _ended(study) if trial.state.name == "COMPLETE"]
    return _trial(max(ended, key=lambda one: one.value)) if ended else None


def _optuna():
    """Optuna, without its own log."""
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            "tuning needs Optuna, which is not installed; install it with: "
            "pip install 'pkef-fast[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
