"""Batches that are cut, one after the other, from lists that are made for each epoch."""

from __future__ import annotations

from typing import Any

from ..data.dataset import Array
from ..kernels import Kernels


class EpochLists:
    """A sampler of such batches; see `train.protocol.Sampler`.

    Subclasses say what the lists of an epoch are, how many entries a batch has, and what is made of
    them. What is drawn depends on the seed and the epoch alone.

    Parameters
    ----------
    kernels : Kernels
    most : int
        Entries of a batch that is not an epoch's last.
    """

    def __init__(self, kernels: Kernels, most: int):
        self.kernels, self.most = kernels, most
        self._epoch: tuple[int, tuple[Array, ...]] | None = None
        self._on_device: tuple[Array, ...] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        raise NotImplementedError

    def size(self, index: int) -> int:
        """Entries of batch `index` of an epoch."""
        raise NotImplementedError

    def lists(self, epoch: int) -> tuple[Array, ...]:
        """An epoch's lists, all int32, of one length and on the device; in the order of steps."""
        raise NotImplementedError

    def made(self, parts: list[Array], step: Any, fixed: bool) -> Any:
        """The batch of these parts of the lists.

        `step` is the run's, or the clock on the device where the batch has `fixed` shapes.
        """
        raise NotImplementedError

    def batch(self, step: int) -> Any:
        """The batch of this step of the run."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self.lists(epoch))
        start = index * self.most
        here = slice(start, start + self.size(index))
        return self.made([one[here] for one in self._epoch[1]], step, False)

    def begin_epoch(self, epoch: int) -> None:
        """Put the epoch's lists where `slots` takes them from, on the device."""
        drawn = self.lists(epoch)
        if self._on_device is None:
            self._on_device = tuple(self.kernels.xp.zeros(len(one), "int32") for one in drawn)
        for there, one in zip(self._on_device, drawn, strict=True):
            there[...] = one

    def slots(self, clock: Array, size: int) -> Any:
        """The batch clock[0] of the epoch, of fixed shapes."""
        taken = []
        for one in self._on_device:
            here = self.kernels.xp.zeros(size, "int32")
            self.kernels.sample.take_users(one, clock, self.most, here)
            taken.append(here)
        return self.made(taken, clock, True)
