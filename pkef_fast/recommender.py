"""What a Python user holds: a `Recommender`, to fit, evaluate, ask for items, save and load.

The data set's own ids are used here and nowhere below; inside there are only numbers.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import model_file
from .arguments import listed, path_of, whole, wrong
from .config.fields import Fields
from .data.dataset import Dataset
from .data.registry import load_dataset
from .device import Device, device, on_its_device
from .errors import InputError, PkefError, did_you_mean
from .evaluate import figures
from .evaluate.figures import Evaluation
from .evaluate.lists import Recommendation, best_items
from .evaluate.rankers import Ranker
from .holdout.selection import Selection
from .holdout.validation import validation_visibility
from .model_file import Saved
from .models import Model, model_class
from .rerank import Reason, RerankConfig, Reranker, explained, learn_behind
from .store.runs import Run
from .train.callbacks import Callback, Callbacks
from .train.fit import Fit
from .train.start import Start

RERANK = ("none", "learned")


class Recommender:
    """A recommender with any of the models: train, evaluate, recommend, save and load.

    Parameters
    ----------
    model : str
        "pkef", "mf-bpr", "lightgcn", or "graph-rank", which needs no training.
    preset : str, optional
        One of the model's named configs; left out: the model's own choice for the data set.
    device : str, int or Device
        "cpu", a GPU as 0 or "cuda:0", "auto", or "reference"; see `pkef_fast.device`.
    config, **fields
        A whole config instead of a preset; fields that differ from either.

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
        self.reranker: Reranker | None = None  # None: the model's own order
        self.selection: Selection | None = None  # None: the last epoch, whatever it is like
        self.evaluation: Evaluation | None = None  # of `fit`, if made after its last step
        self.fitting: Fit | None = None  # the latest `fit`: its trainer, its records
        self._train: Dataset | None = None
        self._ranker: tuple[tuple, Ranker] | None = None

    def config_for(self, behaviors: Sequence[str]) -> Fields:
        """The checked config that `fit` would use for these behaviours."""
        base, kind = self._config, self.model_class.Config
        if base is not None and not isinstance(base, kind):
            raise wrong("config", base, f"a {kind.__name__}, or fields by their names")
        if base is None:
            preset = self.preset or self.model_class.default_preset("")
            base = self.model_class.preset(preset, behaviors)
        return base.replaced(**self._fields).checked(behaviors)

    @on_its_device
    def fit(
        self,
        data: Dataset | str | os.PathLike[str],
        *,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        eval_every: int = 0,
        protocol: str = "paper",
        rerank: str = "none",
        select: str | None = None,
        leave_out: str | float | None = None,
        refit: bool = False,
        init_from: str | os.PathLike[str] | None = None,
        rerank_config: RerankConfig | None = None,
        callbacks: Sequence[Callback] = (),
        should_stop: Callable[[], bool] = lambda: False,
        settings: dict[str, Any] | None = None,
    ) -> Recommender:
        """Train for the config's epochs; a model that needs no training is made ready.

        Parameters
        ----------
        data : Dataset, or its name or path or a table in memory as `load_dataset` takes it
        out, resume, eval_every, protocol, should_stop, settings
            As of `train.fit.Fit`; `out` gets the final model too.
        rerank : {"none", "learned"}
            Whether a re-ranker is learned once the model is trained; see `rerank`.
        select : {"last", "val"}, optional
            "val" chooses the epoch, and whether to re-rank, by the data set's own validation items,
            or else by one more held-out item of each user.
            Left out: the model's own way, "last" for PKEF and "val" for those it is compared with.
        refit : bool
            With "val": once the epoch is chosen, train anew on everything for as many epochs.
        leave_out, rerank_config
            Of the re-ranker; `leave_out` of the validation items too.
        init_from : path, optional
            A run's folder or a model file of the same data: parameters of the names and shapes
            that this model has too start from there; see `train.start`.
        callbacks : sequence of Callback

        Raises
        ------
        InputError, TrainingError, DeviceError
            Unusable config, data or folder; a loss that is not finite; too little memory.
        """
        data, eval_every = _loaded(data), whole("eval_every", eval_every, 0)
        out = None if out is None else path_of("out", out)
        told = listed("callbacks", callbacks, "a list of Callback")
        if not all(isinstance(one, Callback) for one in told):
            raise wrong("callbacks", callbacks, "a list of Callback")
        if rerank not in RERANK:
            raise InputError(f"rerank cannot be {rerank!r}{did_you_mean(rerank, RERANK)}")
        if rerank != "none":
            validation_visibility(data, leave_out)  # ask before the training, not after it
        self.preset = self.preset or self.model_class.default_preset(data.name)
        if resume and refit:  # the model of everything has yet to start where the first one did
            init_from = Run.open(out).settings()[2].get("init_from")
        fit = Fit(
            self.model_class,
            self.config_for(data.behaviors),
            data,
            self.device,
            out=out,
            resume=resume,
            eval_every=eval_every,
            protocol=protocol,
            select=select,
            leave_out=leave_out,
            refit=refit,
            start=None if init_from is None else _start(init_from, data),
            callback=Callbacks(*told),
            should_stop=should_stop,
            settings={"model": self.model_name, **(settings or {}), "rerank": rerank},
        )
        self.fitting, self._train, self._ranker, self.reranker = fit, data, None, None
        try:
            done = fit.run()
        finally:
            self.model, self.selection = fit.model, fit.selection
        self._train = fit.trained_on
        self.evaluation = fit.evaluation
        if done and out is not None:
            self.save(Run.open(out).model_file)
        if done and rerank != "none":
            self.rerank(self._train, leave_out, rerank_config, callbacks=told)
            self.evaluation = None
            if out is not None:
                self.save(Run.open(out).model_file)
        return self

    @property
    def trainer(self):
        """The trainer of the latest `fit`; None for a model without steps."""
        return self.fitting and self.fitting.trainer

    @property
    def history(self) -> list[dict[str, Any]]:
        """A record an epoch of the latest `fit`, as in metrics.jsonl."""
        return self.fitting.history if self.fitting else []

    @on_its_device
    def rerank(
        self,
        data: Dataset | str | os.PathLike[str],
        leave_out: str | float | None = None,
        config: RerankConfig | None = None,
        *,
        callbacks: Sequence[Callback] = (),
        **fields: Any,
    ) -> Reranker:
        """Learn a re-ranker from left-out train purchases; from now on it ranks before the model.

        Where the model was chosen on validation items, it does so only if it is better on them.
        `leave_out` says how train purchases are hidden to imitate the test: "target", "all", or the
        share that stays visible; left out: as `data`, the model's own, was split.
        """
        data = _loaded(data)
        model = self._fits(data)
        if config is not None and not isinstance(config, RerankConfig):
            raise wrong("config", config, "a RerankConfig, or fields by their names")
        config = (config or RerankConfig()).replaced(**fields).checked(data.behaviors)
        told = Callbacks(*callbacks).reranking
        # A model that was trained anew has learned from the items that it was chosen by.
        chosen = None if self.selection and self.selection.refit else self.selection
        found = learn_behind(model, data, config, leave_out, chosen, told)
        self._train = data
        kept = chosen is None or chosen.reranker["kept"]
        self.reranker = found if kept else None
        return found

    def _ready(self) -> Model:
        if self.model is None:
            name = type(self).__name__
            raise PkefError(
                f"this {name} has not been trained; call fit(data) or {name}.load(path)."
            )
        return self.model

    def _fits(self, data: Dataset) -> Model:
        """The model; InputError unless it was trained on as many users and items."""
        model = self._ready()
        if (data.n_users, data.n_items) != (model.n_users, model.n_items):
            raise InputError(
                f"data set {data.name!r} has {data.n_users} users and {data.n_items} items; this "
                f"model was trained on {model.n_users} and {model.n_items}."
            )
        return model

    @property
    def target(self) -> str:
        """Name of the behaviour that is ranked for."""
        self._ready()
        return self._train.target

    def ranker(self) -> Ranker:
        """Ranks all items by the target behaviour; made anew after each training step."""
        now = (self._ready(), self.trainer.step if self.trainer else 0, self.reranker)
        if self._ranker is None or self._ranker[0] != now:
            ranker = self.model.ranker()
            if self.reranker is not None:
                ranker = self.reranker.ranker(ranker, self._train, self.device.host)
            self._ranker = (now, ranker)
        return self._ranker[1]

    @on_its_device
    def evaluate(
        self,
        data: Dataset | str | os.PathLike[str],
        cutoffs: int | Iterable[int] = (10,),
        protocol: str = "paper",
    ) -> Evaluation:
        """Full ranking of the held-out items of `data`, which must be what was trained on.

        With protocol "all" the figures are the paper's, and `.protocols` has each one's; see
        `pkef_fast.evaluate.protocols`.
        """
        data = _loaded(data)
        self._fits(data)
        return figures.evaluate(self.ranker, data, cutoffs, protocol)

    @on_its_device
    def recommend(
        self, users: Any, k: int = 10, filter_seen: bool = True
    ) -> dict[Any, list[Recommendation]]:
        """The k best items, by falling score, for each of these user ids, or for one of them.

        `filter_seen` leaves out items of the user's train target interactions. A list is shorter
        than k where fewer items are left. InputError for an unknown user.
        """
        self._ready()
        return best_items(self.ranker(), self._train, users, k, filter_seen)

    @on_its_device
    def explain(self, users: Any, items: Iterable[Any]) -> dict[Any, list[Reason]]:
        """Why items stand where they do for a user: taste, the own funnel, popularity.

        A row of item ids a user, and a Reason for each. InputError without a re-ranker, whose
        features are what can be told apart.
        """
        self._ready()
        return explained(self.ranker(), self._train, users, items)

    @on_its_device
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, with the train interactions and ids it needs to recommend."""
        model = self._ready()
        path_of("path", path)
        facts = (self.model_name, self.preset, model.config, model, self._train)
        model_file.write(path, Saved(*facts, self.reranker, self.selection))

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | int | Device = "cpu") -> Recommender:
        """A saved model: a file written by `save`, or the folder of a finished run."""
        place = _device(device)
        saved = model_file.read(_file_of(path), place)
        result = cls._of(saved.name, path, saved.preset, place)
        result._config, result.model, result._train = saved.config, saved.model, saved.data
        result.reranker, result.selection = saved.reranker, saved.selection
        return result

    @classmethod
    def _of(cls, model: str, path: object, preset: str | None, device: Device) -> Recommender:
        """A recommender for a stored model."""
        return cls(model, preset, device)


def _file_of(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The model file that a path names: itself, or that of a run's folder."""
    return Run.open(path).model_file if os.path.isdir(path_of("path", path)) else path


def _loaded(data: Any) -> Dataset:
    """A data set as it is, or read from where a name or path says."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, (bytes, numbers.Number, list, tuple, set)) or data is None:
        raise wrong("data", data, "a Dataset, the name or path of one, or a table in memory")
    return load_dataset(data)


def _start(path: str | os.PathLike[str], data: Dataset) -> Start:
    """What `init_from` names, noted as it was given."""
    return model_file.start_of(_file_of(path), data)._replace(source=str(path))


def _device(name: str | int | Device) -> Device:
    return device(name)
