"""Training anew on everything, once an epoch was chosen by validation items.

The choice is made on what is left without these items; the model that goes to work learns from them
too, for as many epochs as were chosen. It has a checkpoint of its own, `refit.npz` in the run's
folder, so that a run can be stopped here as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..config.fields import Fields
from ..data.dataset import Dataset
from ..device import Device
from ..errors import TrainingError
from ..store import checkpoint
from .protocol import Model
from .start import Start, begin
from .trainer import Trainer

FILE = "refit.npz"
CHECKPOINT_SECONDS = 10  # at most this much work is lost by a crash, besides the current epoch


class Refit:
    """A model of everything, trained for a number of epochs.

    Parameters
    ----------
    kind : model class
    config : Fields
    data : Dataset
        All train pairs, the validation items too.
    device : Device
    epochs : int
        Those that were chosen.
    start : Start, optional
    folder : path, optional
        Of the run; it is gone on from the checkpoint there, if there is one of no more epochs.
    """

    def __init__(
        self,
        kind: type[Model],
        config: Fields,
        data: Dataset,
        device: Device,
        epochs: int,
        start: Start | None = None,
        folder: Path | None = None,
    ):
        self.data, self.epochs = data, epochs
        self.file = None if folder is None else folder / FILE
        self.model = kind(config, data, device)
        if start is not None:
            begin(self.model, start, "")
        self.trainer = Trainer(self.model, data)
        if self.file is not None and self.file.is_file():
            facts, arrays = checkpoint.read(self.file, "checkpoint")
            if facts["step"] <= epochs * self.trainer.steps_per_epoch:
                self.trainer.restore(facts, arrays, self.file)

    @property
    def finished(self) -> bool:
        """Whether all epochs are made."""
        return self.trainer.step >= self.epochs * self.trainer.steps_per_epoch

    def run(
        self, stepped: Callable[[float], None], should_stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Make the steps that are left; whether all are made. `stepped` is told each one's loss.

        Raises
        ------
        TrainingError
            For a loss that is not finite.
        """
        written = time.monotonic()
        try:
            while not self.finished:
                stepped(self.trainer.make_step())
                if self.trainer.step % self.trainer.steps_per_epoch == 0:
                    self.trainer.epoch_losses()  # waits for a device that works ahead
                    if time.monotonic() - written > CHECKPOINT_SECONDS:
                        self._write()
                        written = time.monotonic()
                if should_stop():
                    break
        except TrainingError as error:
            if self.file is None:
                raise
            raise TrainingError(f"{error} The last good checkpoint is {self.file}.") from error
        self._write()
        return self.finished

    def _write(self) -> None:
        if self.file is not None:
            checkpoint.write(self.file, "checkpoint", *self.trainer.state())
