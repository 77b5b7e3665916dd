"""What models that are trained by steps share: named parameters, an average, a table of all nodes.

A model derives from `Parametric` and says what its parameters are (`shapes`), what it makes of the
data (`prepare`) and how it learns and ranks; see `train.protocol`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..device import Device
from ..errors import InputError, did_you_mean
from ..graph import adjacency as graph
from ..graph.node_order import node_order
from ..kernels.propagate import Adjacency
from ..tape import ops
from ..tape.autograd import Tensor
from ..train.config import TrainConfig


def glorot(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Uniform in ±√(6 / (rows + columns)); embedding tables too, each side by itself (release)."""
    limit = np.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)


class Parametric:
    """A trained model's parameters by name, and what it knows of the data set.

    Parameters
    ----------
    config : TrainConfig with a field d
        Checked for the data set's behaviours.
    dataset : Dataset
    device : Device
    stored : mapping of name → array, optional
        Values to start from; drawn from the config's seed where not given.

    Attributes
    ----------
    parameters : dict of name → Tensor
    ranking : dict of name → Tensor
        What ranks and is stored: a running average where the config asks for one, else the
        parameters.
    reads, graphs : tuple of str, tuple of Adjacency
        Behaviours that it propagates over, and the graph of each.
    order : NodeOrder or None
        Of the rows in tables of all nodes; see `graph.node_order`.
    """

    Config: type[TrainConfig]
    PRESETS: ClassVar[Mapping[str, dict]] = {"comparison": {}}
    presets = ("comparison",)
    trained = True
    select = "val"

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        device: Device,
        stored: Mapping[str, Array] | None = None,
    ):
        self.config, self.device = config, device
        self.n_users, self.n_items = dataset.n_users, dataset.n_items
        self.behaviors = dataset.behaviors
        self.dtype = config.dtype.type
        self.order, self.reads, self.graphs = None, (), ()
        self.prepare(dataset)
        values = self.initial() if stored is None else stored
        self.parameters = {
            name: Tensor(
                device.place(np.array(values[name], self.dtype, order="C")),
                device,
                requires_grad=True,
            )
            for name in self.shapes()
        }
        self.ranking = self.parameters
        if config.average:
            self.ranking = {
                name: Tensor(one.data.copy(), device) for name, one in self.parameters.items()
            }

    def prepare(self, dataset: Dataset) -> None:
        """Make what the model needs of the data, its graphs say; nothing by default."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters: the two embedding tables, unless there are more."""
        return {
            "user_embedding": (self.n_users, self.config.d),
            "item_embedding": (self.n_items, self.config.d),
        }

    def initial(self) -> dict[str, Array]:
        """Glorot-uniform tables and weights, all else zero, from the config's seed."""
        rng = np.random.Generator(np.random.Philox(self.config.seed))
        return {
            name: np.zeros(shape) if len(shape) == 1 else glorot(rng, shape)
            for name, shape in self.shapes().items()
        }

    def start_from(self, values: Mapping[str, Array]) -> None:
        """Let parameters of these names, and their average, start from these values."""
        for name, value in values.items():
            value = self.device.place(np.array(value, self.dtype, order="C"))
            for one in (self.parameters[name], self.ranking[name]):
                one.data[...] = value

    def stored(self) -> dict[str, Array]:
        """What makes it rank again, together with config and data: its parameters."""
        return {name: self.device.to_host(one.data) for name, one in self.ranking.items()}

    def decay(self, name: str) -> float:
        """No penalty on whole parameters, unless a model says so."""
        return 0.0

    @classmethod
    def preset(cls, name: str, behaviors: Sequence[str]) -> TrainConfig:
        """The config of a preset; InputError for an unknown name."""
        if name not in cls.PRESETS:
            raise InputError(f"preset {name!r} is unknown{did_you_mean(name, cls.PRESETS)}")
        return cls.Config(**cls.PRESETS[name])

    @classmethod
    def default_preset(cls, dataset_name: str) -> str:
        """The first one."""
        return next(iter(cls.PRESETS))

    # ---- tables of all nodes ------------------------------------------------------------------

    def order_nodes(self, interactions: Sequence[Csr]) -> None:
        """Let tables of all nodes have an order that the device's caches like, if there is one."""
        if self.device.cares_for_order:
            row_bytes = self.config.d * self.config.dtype.itemsize
            self.order = node_order(interactions, self.n_items, row_bytes, self.device.kernels)

    def adjacency(
        self, interactions: Csr, normalization: str, self_loops: bool = False
    ) -> Adjacency:
        """A behaviour's normalised adjacency in the model's node order, on the device."""
        return self.device.place(self.pattern(interactions, normalization, self_loops))

    def pattern(self, interactions: Csr, normalization: str, self_loops: bool = False) -> Adjacency:
        """The same on the host."""
        if self.order is not None:
            interactions = graph.reordered(interactions, self.n_items, self.order.nodes)
        storage = self.device.check_storage(self.config.storage)
        settings = (normalization, self_loops, self.dtype, storage)
        return graph.adjacency(interactions, self.n_items, *settings)

    def table(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """E (N, d): the users' rows, then the items'."""
        users, items = parameters["user_embedding"], parameters["item_embedding"]
        return ops.stack_rows(users, items, order=self.order)

    def in_own_order(self, tables: Sequence[Array]) -> Sequence[Array]:
        """Tables of all nodes with users and items in the data set's order."""
        if self.order is None:
            return tables
        return self.device.kernels.pairs.gather(tables, self.order.places)

    @property
    def places(self) -> Array | None:
        """The place of each node in tables of all nodes; None: its number."""
        return None if self.order is None else self.order.places
