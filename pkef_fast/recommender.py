"""What a Python user holds: `PKEF(...).fit(data)`, `.evaluate(data)`, `.recommend(users, k)`.

`Recommender` works with every model of `models`; `PKEF` is the one of that model.

The data set's own ids are used here and nowhere below; inside there are only numbers.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .config.fields import Fields
from .data.dataset import Csr, Dataset
from .data.stored import arrays_of, fields_of
from .device import Device, device
from .errors import InputError, PkefError, TrainingError, did_you_mean
from .evaluate import figures as evaluation
from .evaluate.figures import Evaluation
from .evaluate.protocols import names_of
from .evaluate.rankers import Ranker
from .holdout import selection
from .holdout.selection import Selection
from .models import Model, model_class
from .models.pkef import memory
from .rerank import Reason, RerankConfig, Reranker, checked_users, choice, hidden, learn, reasons
from .store import checkpoint
from .store.runs import Run
from .train.trainer import Trainer, train
from .train.warm_up import warm_up

RERANK = ("none", "learned")
CHECKPOINT_SECONDS = 10  # at most this much work is lost by a crash, besides the current epoch


class Recommendation(NamedTuple):
    """An item by the data set's own id, and its score."""

    item: Any
    score: float


class Observer:
    """What a caller may watch of a fit; every method does nothing until overridden."""

    def compiling(self, stage: str, number: int, total: int) -> None:
        """Before a stage that compiles kernels when it is first run."""

    def started(self, trainer: Trainer, epochs: int) -> None:
        """Before the first step."""

    def stepped(self, trainer: Trainer, loss: float | None) -> None:
        """After each step; None where a device works ahead and the loss is not read yet."""

    def finished_epoch(self, record: dict[str, Any]) -> None:
        """After each epoch, with its line of metrics.jsonl."""

    def ready(self, recommender: Recommender) -> None:
        """When a model without training steps is ready to rank."""

    def reranking(self, text: str) -> None:
        """Before each stage of learning a re-ranker, in words."""


def _on_device(method: Callable) -> Callable:
    """A method that works on its device; what the device reports is a DeviceError."""

    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        with self.device.active():
            return method(self, *args, **kwargs)

    return wrapped


class Recommender:
    """A recommender with any of the models: train, evaluate, recommend, save and load.

    Parameters
    ----------
    model : str
        "pkef", or "graph-rank", which needs no training.
    preset : str, optional
        One of the model's named configs; left out: the model's own choice for the data set.
    device : str, int or Device
        "cpu" (default), a GPU as 0 or "cuda:0", "auto" for a GPU if there is one, or "reference"
        for the NumPy kernels; `pkef_fast.device` makes one with options.
    config : Fields, optional
        A whole config of the model instead of a preset.
    **fields
        Config fields that differ from the preset.

    Examples
    --------
    >>> from pkef_fast import Recommender, load_dataset
    >>> data = load_dataset("demo")
    >>> model = Recommender("graph-rank").fit(data)
    >>> model.evaluate(data, protocol="all").protocols["discovery"].users
    77
    """

    def __init__(
        self,
        model: str = "pkef",
        preset: str | None = None,
        device: str | int | Device = "cpu",
        config: Fields | None = None,
        **fields: Any,
    ):
        self.device = _device(device)
        self.model_name, self.model_class = model, model_class(model)
        self.preset, self._config, self._fields = preset, config, fields
        self.model: Model | None = None
        self.trainer: Trainer | None = None
        self.reranker: Reranker | None = None  # None: the model's own order
        self.selection: Selection | None = None  # None: the last epoch, whatever it is like
        self.history: list[dict[str, Any]] = []
        self.evaluation: Evaluation | None = None  # of `fit`, if made after its last step
        self._train: Dataset | None = None
        self._ranker = None

    # ---- training -----------------------------------------------------------------------------

    def config_for(self, behaviors: Sequence[str]) -> Fields:
        """The checked config that `fit` would use for these behaviours."""
        base = self._config
        if base is None:
            preset = self.preset or self.model_class.default_preset("")
            base = self.model_class.preset(preset, behaviors)
        return base.replaced(**self._fields).checked(behaviors)

    @_on_device
    def fit(
        self,
        data: Dataset,
        *,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        eval_every: int = 0,
        protocol: str = "paper",
        rerank: str = "none",
        select: str = "last",
        leave_out: str | float | None = None,
        rerank_config: RerankConfig | None = None,
        observer: Observer | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        settings: dict[str, Any] | None = None,
    ) -> Recommender:
        """Train for the config's epochs; a model that needs no training is made ready.

        Parameters
        ----------
        data : Dataset
        out : path, optional
            Folder of the run: config, metrics, checkpoints and the final model go there.
        resume : bool
            Go on from the checkpoint in `out`, until the config's number of epochs in all.
        eval_every : int
            Evaluate after every so many epochs and after the last one; 0: never.
        protocol : {"paper", "discovery", "return", "all"}
            Who is ranked among what in these evaluations.
        rerank : {"none", "learned"}
            Whether a re-ranker is learned once the model is trained; see `rerank`.
        select : {"last", "val"}
            "val" holds out one more target item of each user with three or more, and chooses the
            epoch, and whether to re-rank, by them; evaluations in between are of these items.
        leave_out, rerank_config
            Of the re-ranker; `leave_out` of the validation items too.
        observer : Observer, optional
        should_stop : callable, optional
            Asked after each step; True ends the training there, with a checkpoint in `out`.
        settings : dict, optional
            Noted in the run's config.toml.

        Raises
        ------
        InputError
            When config, data or folder cannot be used.
        TrainingError
            When the loss becomes non-finite.
        DeviceError
            When the device has too little memory, or fails.
        """
        observer = observer or Observer()
        if self.preset is None:
            self.preset = self.model_class.default_preset(data.name)
        config = self.config_for(data.behaviors)
        if eval_every < 0:
            raise InputError(f"eval_every cannot be {eval_every}; wanted 0 (never) or more.")
        if resume and out is None:
            raise InputError("to resume, name the run's folder as out.")
        if resume and not self.model_class.trained:
            raise InputError(f"model {self.model_name!r} has no steps, so there is none to resume.")
        names_of(protocol)
        if rerank not in RERANK:
            raise InputError(f"rerank cannot be {rerank!r}{did_you_mean(rerank, RERANK)}")
        if rerank != "none":
            choice(data, leave_out)  # ask before the training, not after it
        held = self.selection = None
        if selection.checked(select) == "val":
            share = selection.share_of(data, leave_out)
            held = selection.validation(data, share)
            self.selection = Selection(share, len(held.users), None, {})
        fitted = data if held is None else selection.without_validation(data, held)
        self._train, self._ranker, self.history, self.trainer = data, None, [], None
        self.evaluation = self.reranker = None
        settings = {
            "model": self.model_name,
            **(settings or {}),
            "eval_every": eval_every,
            "rerank": rerank,
            "select": select,
            "leave_out": None if leave_out is None else str(leave_out),
        }
        if self.model_class.trained:
            done = self._fit_by_steps(
                config, data, fitted, out, resume, protocol, observer, should_stop, settings
            )
            if done and rerank != "none":
                self.rerank(data, leave_out, rerank_config, observer=observer)
                self.evaluation = None
                if out is not None:
                    self.save(Run.open(out).model_file)
        else:
            observer.compiling("propagation", 1, 1)
            self.model = self.model_class(config, data, self.device)
            run = None if out is None else Run.create(out, config, data, settings)
            observer.ready(self)
            record = {"epoch": 0, "step": 0}
            if self.selection is not None:
                model = self.model_class(config, fitted, self.device)
                self.selection.metrics = _headline(evaluation.evaluate(model.ranker(), fitted))
                record |= {f"val.{name}": one for name, one in self.selection.metrics.items()}
            if rerank != "none":
                self.rerank(data, leave_out, rerank_config, observer=observer)
            if eval_every:
                self.evaluation = self.evaluate(data, protocol=protocol)
                self.history = [record | _recorded(self.evaluation)]
            if run:
                run.write_records(self.history)
                self.save(run.model_file)
        return self

    def _fit_by_steps(
        self, config, data, fitted, out, resume, protocol, observer, should_stop, settings
    ) -> bool:
        """`fit` of a model that a `Trainer` trains; whether all epochs are made.

        `fitted` is what it is trained on: `data`, or that without the validation items.
        """
        edges = [len(csr.indices) for csr in data.interactions]
        wanted = memory.training_bytes(
            config, data.n_users, data.n_items, edges, self.device.steps_held
        )
        self.device.expect_memory(wanted, f"training on {data.name!r}")
        self.model = self.model_class(config, fitted, self.device)
        self.trainer = trainer = Trainer(self.model, fitted)
        run, best = None, None  # (epoch, figures, parameters) by the validation items
        if out is not None and resume:
            run = Run.open(out)
            run.check_data(data)
            trainer.restore(*run.read_checkpoint(), run.checkpoint_file)
            self.history = [r for r in run.records() if r["epoch"] <= trainer.epoch]
            run.write_records(self.history)
            if self.selection is not None and run.best_file.exists():
                facts, arrays = checkpoint.read(run.best_file, "best")
                if facts["epoch"] <= trainer.epoch:
                    best = facts["epoch"], facts["metrics"], arrays
        elif out is not None:
            run = Run.create(out, config, data, settings)
            run.write_checkpoint(*trainer.state())
        warm_up(config, len(data.behaviors), self.device, observer.compiling)
        observer.started(trainer, config.epochs)
        written = time.monotonic()

        def on_epoch(trainer: Trainer) -> None:
            nonlocal written, best
            record = {"epoch": trainer.epoch, "step": trainer.step, **trainer.epoch_losses()}
            last = trainer.epoch == config.epochs
            every = settings["eval_every"]
            evaluated = every and (trainer.epoch % every == 0 or last)
            if self.selection is not None:
                self.evaluation = None
                if evaluated or last:
                    found = _headline(self.evaluate(fitted))
                    record |= {f"val.{name}": value for name, value in found.items()}
                    if best is None or found[selection.METRIC] > best[1][selection.METRIC]:
                        arrays = {name: one.copy() for name, one in self.model.stored().items()}
                        best = trainer.epoch, found, arrays
                        if run:
                            facts = {"epoch": trainer.epoch, "metrics": found}
                            checkpoint.write(run.best_file, "best", facts, arrays)
            elif evaluated:
                self.evaluation = self.evaluate(data, protocol=protocol)
                record.update(_recorded(self.evaluation))
            else:
                self.evaluation = None
            self.history.append(record)
            observer.finished_epoch(record)
            if run and (evaluated or last or time.monotonic() - written > CHECKPOINT_SECONDS):
                run.write_checkpoint(*trainer.state())
                run.write_records(self.history)
                written = time.monotonic()

        try:
            done = train(trainer, config.epochs, observer.stepped, on_epoch, should_stop)
        except TrainingError as error:
            if run is None:
                raise
            raise TrainingError(
                f"{error} The last good checkpoint is {run.checkpoint_file}."
            ) from error
        self._ranker = None
        if done and best is not None:
            self.selection.epoch, self.selection.metrics, arrays = best
            self.model = self.model_class(config, data, self.device, arrays)
        if trainer.step % trainer.steps_per_epoch:  # stopped within an epoch
            self.evaluation = None
        if run:
            run.write_checkpoint(*trainer.state())
            run.write_records(self.history)
            if done:
                self.save(run.model_file)
        return done

    @property
    def target(self) -> str:
        """Name of the behaviour that is ranked for."""
        self._ready()
        return self._train.target

    # ---- use ----------------------------------------------------------------------------------

    def _ready(self) -> Model:
        if self.model is None:
            name = type(self).__name__
            raise PkefError(
                f"this {name} has not been trained; call fit(data) or {name}.load(path)."
            )
        return self.model

    def ranker(self) -> Ranker:
        """Ranks all items by the target behaviour; made anew after each training step."""
        now = (self.trainer.step if self.trainer else 0, self.reranker)
        if self._ranker is None or self._ranker[0] != now:
            ranker = self._ready().ranker()
            if self.reranker is not None:
                ranker = self.reranker.ranker(ranker, self._train)
            self._ranker = (now, ranker)
        return self._ranker[1]

    @_on_device
    def rerank(
        self,
        data: Dataset,
        leave_out: str | float | None = None,
        config: RerankConfig | None = None,
        *,
        observer: Observer | None = None,
        **fields: Any,
    ) -> Reranker:
        """Learn a re-ranker from left-out train purchases; from now on it ranks before the model.

        Parameters
        ----------
        data : Dataset
            What the model was trained on; nothing held out in it is read.
        leave_out : {"target", "all"} or float, optional
            How train purchases are hidden to imitate the test: in the target behaviour alone, in
            all, or the share that stays visible. Left out: as the data set was split.
        config : RerankConfig, optional
        observer : Observer, optional
        **fields
            Config fields that differ.

        Raises
        ------
        InputError
            When it is not known how the data set was split, or none can be left out.
        """
        model = self._ready()
        self._check_shape(data)
        how = choice(data, leave_out)
        config = (config or RerankConfig()).replaced(**fields).checked(data.behaviors)
        observer = observer or Observer()
        held = None
        if self.selection is not None:
            held = selection.validation(data, self.selection.share)
            stored = model.stored()

        def base(rest: Dataset, draws: int) -> Ranker:
            """The model as it would be had it never seen what is left out."""
            if held is not None:
                return type(model)(model.config, rest, self.device, stored).ranker()
            if not model.trained:
                return type(model)(model.config, rest, self.device).ranker()
            epochs = max(1, min(config.twin_epochs, model.config.epochs) // draws)
            twin = type(model)(model.config.replaced(epochs=epochs), rest, self.device)
            train(Trainer(twin, rest), epochs)
            return twin.ranker()

        share = how.share if held is None else self.selection.share
        found = learn(config, data, base, share, device("cpu"), held, observer.reranking)
        found.report["leave_out"] = how.reason
        self._train = data
        self.reranker = found
        if held is not None:
            aside = held.of(checked_users(config, data.n_users)[held.users])
            rest = replace(hidden(data, held), test_users=aside.users, test_items=aside.items)
            plain = base(rest, 1)
            before, after = (
                evaluation.evaluate(one, rest)[selection.METRIC]
                for one in (plain, found.ranker(plain, rest))
            )
            kept = after > before or not len(aside.users)
            self.selection.reranker = {"model": before, "re-ranked": after, "kept": kept}
            if not kept:
                self.reranker = None
        return found

    def _check_shape(self, data: Dataset) -> None:
        """InputError unless the model was trained on as many users and items."""
        model = self._ready()
        if (data.n_users, data.n_items) != (model.n_users, model.n_items):
            raise InputError(
                f"data set {data.name!r} has {data.n_users} users and {data.n_items} items; this "
                f"model was trained on {model.n_users} and {model.n_items}."
            )

    @_on_device
    def evaluate(
        self, data: Dataset, cutoffs: Iterable[int] = (10,), protocol: str = "paper"
    ) -> Evaluation:
        """Full ranking of the held-out items of `data`, which must be what was trained on.

        Parameters
        ----------
        data : Dataset
        cutoffs : iterable of int
        protocol : {"paper", "discovery", "return", "all"}
            Who is ranked among what; see `pkef_fast.evaluate.protocols`. With "all" the figures
            are the paper's, and `.protocols` has each one's.
        """
        self._check_shape(data)
        start = time.perf_counter()
        result = evaluation.evaluate(self.ranker(), data, cutoffs, protocol)
        result.seconds = time.perf_counter() - start
        return result

    @_on_device
    def recommend(
        self, users: Iterable[Any], k: int = 10, filter_seen: bool = True
    ) -> dict[Any, list[Recommendation]]:
        """The k best items for each user, by falling score.

        Parameters
        ----------
        users : iterable of user ids, as in the data set
        k : int
        filter_seen : bool
            Leave out items of the user's train target interactions.

        Returns
        -------
        dict of user id → list of Recommendation
            Shorter than k where fewer items are left.
        """
        self._ready()
        data, users = self._train, list(users)
        if k < 1:
            raise InputError(f"k cannot be {k}; wanted at least 1.")
        numbers = np.array([_number_of(user, data) for user in users], np.int32)
        seen = data.interactions[-1]
        if not filter_seen:
            seen = Csr(np.zeros_like(seen.indptr), seen.indices[:0])
        items, scores = self.ranker().top_k(numbers, min(k, data.n_items), seen)
        ids = data.item_ids
        result = {}
        for user, row, values in zip(users, items, scores, strict=True):
            result[user] = [
                Recommendation(int(item) if ids is None else ids[item].item(), float(score))
                for item, score in zip(row, values, strict=True)
                if item >= 0
            ]
        return result

    @_on_device
    def explain(
        self, users: Iterable[Any], items: Iterable[Iterable[Any]]
    ) -> dict[Any, list[Reason]]:
        """Why items stand where they do for a user: taste, the own funnel, popularity.

        Parameters
        ----------
        users : iterable of user ids, as in the data set
        items : iterable of iterables of item ids
            Those to explain, a row a user.

        Returns
        -------
        dict of user id → list of Reason
            One an item.

        Raises
        ------
        InputError
            Without a re-ranker, whose features are what can be told apart.
        """
        self._ready()
        if self.reranker is None:
            raise InputError(
                "only a re-ranked order can be explained, and this model has no re-ranker; learn "
                "one with rerank(data), or `pkef-fast rerank RUN`."
            )
        data = self._train
        return {
            user: reasons(
                self.ranker(),
                _number_of(user, data),
                np.array([_item_number(item, data) for item in row], np.int32),
            )
            for user, row in zip(users, items, strict=True)
        }

    # ---- files --------------------------------------------------------------------------------

    @_on_device
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, with the train interactions and ids it needs to recommend."""
        model, data = self._ready(), self._train
        arrays = {f"parameter.{name}": array for name, array in model.stored().items()}
        arrays |= arrays_of(data)
        facts = {
            "model": self.model_name,
            "config": model.config.as_dict(),
            "preset": self.preset,
            "name": data.name,
            "behaviors": data.behaviors,
            "n_users": data.n_users,
            "n_items": data.n_items,
        }
        if self.reranker is not None:
            facts["reranker"] = self.reranker.facts()
            arrays |= {f"reranker.{name}": one for name, one in self.reranker.arrays().items()}
        if self.selection is not None:
            facts["selection"] = self.selection.facts()
        checkpoint.write(path, "model", facts, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | int | Device = "cpu") -> Recommender:
        """A saved model: a file written by `save`, or the folder of a finished run."""
        if os.path.isdir(path):
            path = Run.open(path).model_file
        facts, arrays = checkpoint.read(path, "model")
        behaviors = tuple(facts["behaviors"])
        data = Dataset(
            name=facts["name"],
            behaviors=behaviors,
            n_users=facts["n_users"],
            n_items=facts["n_items"],
            test_users=np.empty(0, np.int32),
            test_items=np.empty(0, np.int32),
            **fields_of(arrays, len(behaviors)),
        )
        result = cls._of(facts.get("model", "pkef"), path, facts["preset"], device)
        config = result.model_class.Config().replaced(**facts["config"]).checked(behaviors)
        result._config = config
        values = {
            name.removeprefix("parameter."): array
            for name, array in arrays.items()
            if name.startswith("parameter.")
        }
        with result.device.active():
            result.model = result.model_class(config, data, result.device, values)
        if "reranker" in facts:
            weights = {
                name.removeprefix("reranker."): array
                for name, array in arrays.items()
                if name.startswith("reranker.")
            }
            result.reranker = Reranker.of(facts["reranker"], weights)
        if "selection" in facts:
            result.selection = Selection(**facts["selection"])
        result._train = data
        return result

    @classmethod
    def _of(cls, model: str, path: object, preset: str | None, device: Any) -> Recommender:
        """A recommender for a stored model."""
        return cls(model, preset, device)


class PKEF(Recommender):
    """A PKEF recommender: train, evaluate, recommend, save and load.

    Parameters
    ----------
    preset : str
        "official" (the released code) or "paper" (the equations).
    device : str, int or Device
        "cpu" (default), or "reference" for the NumPy kernels.
    config : Config, optional
        A whole config instead of a preset.
    **fields
        Config fields that differ from the preset, e.g. ``epochs=10, layers=(3, 1, 1)``.

    Examples
    --------
    >>> from pkef_fast import PKEF, load_dataset
    >>> data = load_dataset("demo")
    >>> model = PKEF(preset="official", epochs=1).fit(data)
    >>> sorted(model.evaluate(data))
    ['HR@10', 'MRR', 'NDCG@10']
    >>> len(model.recommend([0], k=3)[0])
    3
    """

    def __init__(
        self,
        preset: str = "official",
        device: str | int | Device = "cpu",
        config: Fields | None = None,
        **fields: Any,
    ):
        super().__init__("pkef", preset, device, config, **fields)

    @classmethod
    def _of(cls, model: str, path: object, preset: str, device: Any) -> Recommender:
        if model != "pkef":
            raise InputError(f"{path} holds a model {model!r}; load it with Recommender.load.")
        return cls(preset, device)


def _headline(result: Evaluation) -> dict[str, float]:
    return {name: result[name] for name in ("HR@10", "NDCG@10")}


def _recorded(result: Evaluation) -> dict[str, Any]:
    """What a line of metrics.jsonl says of an evaluation: the figures, and those by protocol."""
    record = {**result.metrics, "ties": result.ties}
    if len(result.protocols) > 1:
        for name, one in result.protocols.items():
            if one.users:
                record |= {f"{name}.{metric}": value for metric, value in one.metrics.items()}
    return record


def _device(name: str | int | Device) -> Device:
    return device(name)


def _item_number(item: Any, data: Dataset) -> int:
    """The number of an item id."""
    if data.item_ids is None:
        text = str(item)
        if text.isdigit() and int(text) < data.n_items:
            return int(text)
    else:
        found = np.flatnonzero(data.item_ids.astype(str) == str(item))
        if len(found):
            return int(found[0])
    raise InputError(f"item {item!r} is unknown in data set {data.name!r}.")


def _number_of(user: Any, data: Dataset) -> int:
    """The number of a user id."""
    if data.user_ids is None:
        text = str(user)
        if text.isdigit() and int(text) < data.n_users:
            return int(text)
        raise InputError(
            f"user {user!r} is unknown; data set {data.name!r} has users 0 to {data.n_users - 1}."
        )
    ids = data.user_ids
    found = np.flatnonzero(ids.astype(str) == str(user))
    if not len(found):
        raise InputError(
            f"user {user!r} is unknown in data set {data.name!r}{did_you_mean(user, ids[:5])}"
        )
    return int(found[0])
