"""Shared bottom, MMoE and PLE: mixtures of one-layer networks on the coupled input.

With x = [e_u ‖ e_v] (2d wide), experts f_j = LReLU(x·W_j + b_j) and gates
g_k = softmax(x·G_k + c_k), the score of behaviour k is

    s_k = m·((Σ_j g_kj f_j)·w_k + t_k)

A first layer on a concatenation is a sum of both sides' halves, so all experts and gates of all
behaviours are one matrix product a side, over the batch's nodes (`kernels.experts`), and over all
nodes for ranking.
"""

from __future__ import annotations

from typing import NamedTuple

from ....kernels import rank
from ....kernels.experts import Columns
from ....tape import ops
from ....tape.autograd import Tensor
from .coupled import SLOPE, CoupledHead

ALIGNED = 16  # columns of a row in whole cache lines of float32, and in whole vectors on a GPU


class Layer(NamedTuple):
    """The first layers of all experts and gates side by side: weight (2d, C) and bias (C,)."""

    weight: Tensor
    bias: Tensor
    columns: dict[int, Columns]  # of each behaviour


class MixtureHead(CoupledHead):
    """Subclasses say which experts there are, by the names of their parameters."""

    def shared(self) -> list[str]:
        """Experts of all behaviours."""
        raise NotImplementedError

    def own(self, k: int) -> list[str]:
        """Experts of behaviour k alone; the gate has them first."""
        return []

    def gate(self, k: int) -> str | None:
        """The gate of behaviour k; None: there is one expert, which weighs 1."""
        return f"gate.{k}"

    def experts(self, k, behaviors):
        """The behaviour's own, then those of all."""
        if not self.gate(k):
            return ()
        own = [f"{behaviors[k]} {j}" for j in range(1, len(self.own(k)) + 1)]
        of_all = "shared" if own else "expert"
        return (*own, *(f"{of_all} {j}" for j in range(1, len(self.shared()) + 1)))

    @property
    def width(self) -> int:
        """Of the input, and of an expert."""
        return 2 * self.config.d

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A weight and a bias of each expert, gate and tower."""
        sizes = dict.fromkeys(self.shared(), self.width)
        for k in range(self.n_behaviors):
            sizes |= dict.fromkeys(self.own(k), self.width)
            if self.gate(k):
                sizes[self.gate(k)] = len(self.own(k)) + len(self.shared())
            sizes[f"tower.{k}"] = 1
        layers = {
            f"{name}.{part}": shape
            for name, size in sizes.items()
            for part, shape in (("weight", (self.width, size)), ("bias", (size,)))
        }
        return {**super().shapes(), **layers}

    def layout(self, behaviors) -> tuple[list[str], dict[int, Columns], int]:
        """Names in the order of their columns, each behaviour's columns, and how many there are."""
        shared, width = self.shared(), self.width
        names, columns, at = list(shared), {}, len(shared) * width
        gates = at + sum(len(self.own(k)) for k in behaviors) * width
        for k in behaviors:
            own, gate = self.own(k), self.gate(k)
            columns[k] = Columns(at, len(own), 0, len(shared), gates if gate else -1)
            names += own
            at += len(own) * width
            gates += (len(own) + len(shared)) if gate else 0
        names += [self.gate(k) for k in behaviors if self.gate(k)]
        return names, columns, -(-gates // ALIGNED) * ALIGNED

    def first_layer(self, parameters, behaviors) -> Layer:
        """The experts and gates that these behaviours read."""
        names, columns, total = self.layout(behaviors)
        weights, biases = ([parameters[f"{n}.{p}"] for n in names] for p in ("weight", "bias"))
        spare = total - sum(bias.shape[0] for bias in biases)
        if spare:
            device, dtype = biases[0].device, biases[0].dtype
            weights.append(Tensor(device.xp.zeros((self.width, spare), dtype), device))
            biases.append(Tensor(device.xp.zeros(spare, dtype), device))
        return Layer(ops.concatenate(*weights), ops.concatenate(*biases), columns)

    def scores(self, rows, parameters, pairs, n_users):
        """Of all behaviours together: what their experts share is computed once."""
        layer = self.first_layer(parameters, list(pairs))
        users, items = ops.affine_sides(*rows, layer.weight, layer.bias, n_users=n_users)
        towers = (parameters[f"tower.{k}.{part}"] for k in pairs for part in ("weight", "bias"))
        scores = ops.experts(
            users,
            items,
            *towers,
            terms=tuple((some, layer.columns[k]) for k, some in pairs.items()),
            slope=SLOPE,
            score_scale=self.config.score_scale,
        )
        return dict(zip(pairs, scores, strict=True))

    def scorer(self, tables, parameters, k, n_users):
        """Both sides of behaviour k's experts and gate, for all nodes."""
        e, d = self.coupled(tables, parameters), self.config.d
        device = parameters["user_embedding"].device
        xp, affine = device.xp, device.kernels.linear.affine

        def halves(names):
            weight, bias = (
                xp.concatenate([parameters[f"{n}.{part}"].data for n in names], axis=-1)
                for part in ("weight", "bias")
            )
            return affine(e[:n_users], weight[:d], bias), affine(e[n_users:], weight[d:], None)

        sides = halves(self.own(k) + self.shared())
        logits = tuple(xp.zeros((len(side), 1), e.dtype) for side in sides)
        if self.gate(k):
            logits = halves([self.gate(k)])
        tower, offset = (parameters[f"tower.{k}.{part}"].data for part in ("weight", "bias"))
        return rank.ExpertsScorer(
            *sides,
            *logits,
            xp.ascontiguousarray(tower[:, 0]),
            float(device.to_host(offset)[0]),
            SLOPE,
            self.config.score_scale,
        )


class SharedBottomHead(MixtureHead):
    """One hidden layer of all behaviours, and a tower each."""

    def shared(self):
        """The bottom."""
        return ["bottom"]

    def gate(self, k):
        """None: the bottom is all there is."""
        return None


class MmoeHead(MixtureHead):
    """Experts that all behaviours share, a gate and a tower each."""

    def shared(self):
        """Those of config.experts that are no behaviour's own."""
        return [f"expert.shared.{j}" for j in range(self.config.expert_counts[1])]


class PleHead(MmoeHead):
    """MMoE with experts of each behaviour's own beside the shared ones (one level)."""

    def own(self, k):
        """The specific experts of behaviour k."""
        return [f"expert.{k}.{j}" for j in range(self.config.expert_counts[0])]
