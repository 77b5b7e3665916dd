"""Graph ranking without training: each behaviour's graph hands its scores on to the next.

For a user u and each behaviour k, upstream to target, with Ã_k = D^-½ A_k D^-½ and the query
q_u = e_u over users, q_v = M_k[u] / deg_k(u) over items (Ko, Jeon, Jung 2025, arXiv 2502.11335):

    r ← γ Ã_k r + α q + β c,   γ = 1 − α − β,   from r = q, both sides from the old values
    c = the result of behaviour k − 1, for the first one q

The score of an item is its entry of r after the target behaviour. `plain` says just this.

Only what reaches the result is computed (`stages`): in a bipartite graph users of round n depend on
items of round n − 1 alone, so two interleaved walks run side by side and one is enough. It gives
the items of round n and the users of round n + 1 for half the work. Round 1 of the items is the
user's own row of the graph, so a walk that begins there needs no product for it. And the walk is
in D^-½ r, where the product is a plain sum of neighbours with a factor γ / degree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..config.fields import Fields, field
from ..config.space import Range, Space
from ..data.dataset import Array, Csr, Dataset
from ..data.patterns import row_of_each, rows_of
from ..device import Device
from ..errors import InputError, did_you_mean
from ..evaluate.rankers import RowsRanker
from ..graph import adjacency as graph
from ..train.protocol import ALL, About

WIDTH = 256  # users of a block; a CPU takes half the time of 64: wide rows cost less a value
# Kernels sum a few full cache lines of a row together and what is left in another order. With whole
# groups of lines a user's scores do not depend on the place in a block.
COLUMNS = 64
PROBE = 64  # users on whom the number of rounds is settled


@dataclass(frozen=True)
class GraphRankConfig(Fields):
    """How far scores walk; the defaults are Taobao's."""

    alpha: float = field(
        0.0, "share α of the user's own items of a behaviour; Taobao 0, Tmall 0.7", low=0, high=1
    )
    beta: float = field(
        0.9, "share β of the behaviour before; Taobao 0.9, Tmall 0.2", low=0, high=1
    )
    tolerance: float = field(
        1e-4, "rounds end when their change (L1, mean of users) is no larger", low=0
    )
    rounds: int = field(100, "most rounds of a behaviour", low=1)
    precision: str = field("float32", "of scores and kernels", choices=("float32", "float64"))

    def checked(self, behaviors: Sequence[str]) -> GraphRankConfig:
        """This config, or an InputError naming the wrong field."""
        config = super().checked(behaviors)
        if not 0 < self.alpha + self.beta <= 1:
            raise InputError(
                f"config fields 'alpha' {self.alpha:g} and 'beta' {self.beta:g} have the sum "
                f"{self.alpha + self.beta:g}; wanted more than 0 and at most 1."
            )
        return config


# Values by data set, as its authors chose them.
PRESETS: dict[str, dict] = {
    "taobao": {"alpha": 0.0, "beta": 0.9},
    "tmall": {"alpha": 0.7, "beta": 0.2},
}


class GraphRank:
    """The model: nothing to train, only the number of rounds of each behaviour to settle.

    It is settled once, on users spread evenly over all, and then the same for everybody: a user's
    scores do not depend on the others of a block.

    Parameters
    ----------
    config : GraphRankConfig
        Checked.
    dataset : Dataset
    device : Device
    stored : mapping of name → array, optional
        What `stored` of another one gave: the rounds (K,).
    """

    about = About("Ko, Jeon, Jung, arXiv 2502.11335", 2025, ALL)
    Config = GraphRankConfig
    presets = tuple(PRESETS)
    trained = False  # by steps
    select = "last"

    def __init__(
        self,
        config: GraphRankConfig,
        dataset: Dataset,
        device: Device,
        stored: Mapping[str, Array] | None = None,
    ):
        self.config, self.device = config, device
        self.interactions = dataset.interactions
        self.n_users, self.n_items = dataset.n_users, dataset.n_items
        self.dtype = np.dtype(config.precision).type
        self.graphs, self.halves, self.roots = [], [], []
        for csr in self.interactions:
            self._add_graph(csr)
        self.rounds = np.asarray(self._settled() if stored is None else stored["rounds"], np.int32)

    def _add_graph(self, csr: Csr) -> None:
        """γ Ã of a behaviour for `plain`, its two halves and D^½ (N, 1) for `stages`."""
        gamma = self.dtype(max(0.0, 1 - self.config.alpha - self.config.beta))
        whole = graph.adjacency(csr, self.n_items, "symmetric", dtype=self.dtype)
        means = graph.adjacency(csr, self.n_items, "left", dtype=self.dtype)
        means = means._replace(scale_out=gamma * means.scale_out)
        degrees = np.maximum(np.diff(whole.indptr), 1)  # without neighbours: no message, any root
        place = self.device.place
        self.graphs.append(place(whole._replace(scale_out=gamma * whole.scale_out)))
        self.halves.append(place(graph.one_sided(means, self.n_users)))
        self.roots.append(place(np.sqrt(degrees).astype(self.dtype)[:, None]))

    @staticmethod
    def default_preset(dataset_name: str) -> str:
        """The preset for a data set: its own, or Taobao's."""
        return dataset_name if dataset_name in PRESETS else "taobao"

    @staticmethod
    def preset(name: str, behaviors: Sequence[str]) -> GraphRankConfig:
        """The config of a preset; InputError for an unknown name."""
        if name not in PRESETS:
            raise InputError(f"preset {name!r} is unknown{did_you_mean(name, PRESETS)}")
        return GraphRankConfig(**PRESETS[name])

    @staticmethod
    def space(behaviors: Sequence[str]) -> Space:
        """What a search may choose from: the two shares, whose sum is at most 1."""
        return (Range("alpha", 0.0, 0.95), Range("beta", 0.05, 1.0, rest_of="alpha"))

    def stored(self) -> dict[str, Array]:
        """What makes this model again, together with config and data."""
        return {"rounds": self.rounds}

    def ranker(self) -> RowsRanker:
        """Ranks by the target's scores."""
        return RowsRanker(
            lambda users: self.stages(users)[-1], self.device, self.n_items, WIDTH, self.dtype
        )

    def stages(self, users: Array) -> list[Array]:
        """Scores of all items after each behaviour: K × (I, w) for distinct users (w,)."""
        width = len(users)
        before, result = None, []
        for k, (to_users, to_items) in enumerate(self.halves):
            rounds = int(self.rounds[k])
            root, spread = self.roots[k], self.device.kernels.propagate.spread
            query = self._query(k, users)
            base = self._base(query, before)
            base /= root
            if rounds % 2:
                r = self._first_items(k, users, base)  # items of round 1
            else:
                r = query  # items of round 0
                r /= root
            for _ in range(rounds // 2):
                r = spread(to_users, r)
                r[: self.n_users] += base[: self.n_users]
                r = spread(to_items, r)
                r[self.n_users :] += base[self.n_users :]
            if k + 1 < len(self.halves):
                before = spread(to_users, r)
                before[: self.n_users] += base[: self.n_users]
                before[self.n_users :] = r[self.n_users :]
                before *= root
            r[self.n_users :] *= root[self.n_users :]
            result.append(self.device.xp.ascontiguousarray(r[self.n_users :, :width]))
        return result

    def plain(self, users: Array, log: list | None = None) -> list[Array]:
        """`stages` as the equations say, both sides in each round, until the change is small.

        The rounds of each behaviour are appended to `log`.
        """
        spread, xp = self.device.kernels.propagate.spread, self.device.xp
        before, result = None, []
        for k, whole in enumerate(self.graphs):
            r = self._query(k, users)
            base = self._base(r, before)
            done, change = 0, np.inf
            while done < self.config.rounds and change > self.config.tolerance:
                new = spread(whole, r)
                new += base
                change = float(xp.abs(new - r).sum(dtype="float64")) / max(len(users), 1)
                r, done = new, done + 1
            if log is not None:
                log.append(done)
            before = r
            result.append(xp.ascontiguousarray(r[self.n_users :, : len(users)]))
        return result

    def _settled(self) -> list[int]:
        """Rounds of each behaviour, by `plain` on users spread evenly over all."""
        users = np.unique(np.linspace(0, self.n_users - 1, PROBE).astype(np.int32))
        log: list[int] = []
        self.plain(users, log)
        return log

    def _query(self, k: int, users: Array) -> Array:
        """q of behaviour k, (N, w): the user, and the user's items in equal shares."""
        own = rows_of(self.interactions[k], users)
        degrees = np.diff(own.indptr)
        shares = np.repeat(1 / np.maximum(degrees, 1), degrees)
        query = self._scattered(own.indices, row_of_each(own), shares, len(users))
        query[self.device.place(users), self.device.xp.arange(len(users))] = 1
        return query

    def _base(self, query: Array, before: Array | None) -> Array:
        """α q + β c."""
        alpha, beta = self.dtype(self.config.alpha), self.dtype(self.config.beta)
        if before is None:
            return (alpha + beta) * query
        base = beta * before
        if alpha:
            base += alpha * query
        return base

    def _first_items(self, k: int, users: Array, base: Array) -> Array:
        """Items of round 1, γ Ãᵀ e_u + base, in D^-½ r: one row of the graph a user."""
        to_items = self.halves[k][1]
        own = rows_of(self.interactions[k], users)
        columns = row_of_each(own)
        rows = self.device.place(own.indices + self.n_users)
        values = to_items.scale_out[rows] / self.roots[k][self.device.place(users[columns]), 0]
        first = self._scattered(own.indices, columns, values, len(users))
        first[self.n_users :] += base[self.n_users :]
        return first

    def _scattered(self, items: Array, columns: Array, values: Array, width: int) -> Array:
        """(N, w′) with these values at (item, column), zero elsewhere.

        w′ is a multiple of COLUMNS.
        """
        table = self.device.xp.zeros(
            (self.n_users + self.n_items, -(-width // COLUMNS) * COLUMNS), self.dtype
        )
        place = (self.device.place(items + self.n_users), self.device.place(columns))
        table[place] = self.device.place(values).astype(self.dtype)
        return table
