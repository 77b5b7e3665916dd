"""What a caller may watch of a fit."""

from __future__ import annotations

from typing import Any, Protocol

from ..config.fields import Fields
from ..data.dataset import Dataset
from .protocol import Model
from .trainer import Trainer


class Watched(Protocol):
    """What of a fit may be looked at; see `fit.Fit`."""

    data: Dataset
    config: Fields
    settings: dict[str, Any]
    model: Model
    trainer: Trainer | None
    history: list[dict[str, Any]]

    @property
    def finished(self) -> bool:
        """Whether no more steps are wanted."""


class Callback:
    """Told what a fit does; every method does nothing until overridden."""

    def compiling(self, stage: str, number: int, total: int) -> None:
        """Before a stage that compiles kernels when it is first run."""

    def started(self, fit: Watched) -> None:
        """Before the first step; for a model without steps, when it is ready to rank."""

    def stepped(self, fit: Watched, loss: float | None) -> None:
        """After each step; None where a device works ahead and the loss is not read yet."""

    def finished_epoch(self, fit: Watched, record: dict[str, Any]) -> None:
        """After each epoch, with its line of metrics.jsonl."""

    def reranking(self, text: str) -> None:
        """Before each stage of learning a re-ranker, in words."""


class Callbacks(Callback):
    """Several, told in turn."""

    def __init__(self, *callbacks: Callback):
        self.callbacks = callbacks

    def compiling(self, stage: str, number: int, total: int) -> None:
        for one in self.callbacks:
            one.compiling(stage, number, total)

    def started(self, fit: Watched) -> None:
        for one in self.callbacks:
            one.started(fit)

    def stepped(self, fit: Watched, loss: float | None) -> None:
        for one in self.callbacks:
            one.stepped(fit, loss)

    def finished_epoch(self, fit: Watched, record: dict[str, Any]) -> None:
        for one in self.callbacks:
            one.finished_epoch(fit, record)

    def reranking(self, text: str) -> None:
        for one in self.callbacks:
            one.reranking(text)
