"""`PKEF`: a `Recommender` with that model."""

from __future__ import annotations

from typing import Any

from .config.fields import Fields
from .device import Device
from .errors import InputError
from .recommender import Recommender


class PKEF(Recommender):
    """A PKEF recommender; the parameters are those of `Recommender`, the preset first.

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
    def _of(cls, model: str, path: object, preset: str, device: Device) -> Recommender:
        if model != "pkef":
            raise InputError(f"{path} holds a model {model!r}; load it with Recommender.load.")
        return cls(preset, device)
