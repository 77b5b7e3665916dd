"""f: the score of a candidate, learned by softmax cross-entropy over a user's candidates.

    s = w·x + b                      linear
    s = w·relu(x V + a) + b          an MLP of one hidden layer

with x standardised. The loss of a user is −log softmax(s) at the left-out purchase. A share of the
users is not trained on: their loss says when to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..config.streams import stream
from ..data.dataset import Array
from ..device import Device
from ..evaluate.figures import TOP, gains
from ..kernels.adam import learning_rate
from ..kernels.candidates import Form, Weights
from ..kernels.rows import offsets
from ..tape import ops
from ..tape.autograd import Op, Tensor, backward

NOT_THERE = -1e9  # score of a place without a candidate: its share of a softmax is 0
SCALE_FLOOR = 1e-6
SMOOTH = 0.99  # share of the average that a step leaves


class Questions(NamedTuple):
    """Users and their candidates, one of which is the left-out purchase: the answer.

    indptr (n+1,) int64: whose candidates; features (C, F) float32; answers (n,) int64: where the
    answer is among its user's candidates, −1 where it is none of them; offsets (C,) float32: log of
    the number of candidates that one stands for, 0 where none was thinned out.
    """

    indptr: Array
    features: Array
    answers: Array
    offsets: Array

    def of(self, chosen: Array) -> Questions:
        """The chosen users alone, by their numbers."""
        counts = np.diff(self.indptr)[chosen]
        indptr = offsets(counts)
        rows = np.repeat(self.indptr[:-1][chosen] - indptr[:-1], counts) + np.arange(indptr[-1])
        return Questions(indptr, self.features[rows], self.answers[chosen], self.offsets[rows])

    def thinned(self, always: Array, share: float, random: np.random.Generator) -> Questions:
        """All answers, the candidates `always` (C,) bool, and a share of the others.

        One of these stands for 1/share candidates in the softmax, so that its sum is the same in
        expectation.
        """
        counts = np.diff(self.indptr)
        rows = np.repeat(np.arange(len(counts)), counts)
        here = self.answers >= 0
        kept = always | (random.random(len(rows)) < share)
        answers = self.indptr[:-1] + self.answers
        kept[answers[here]] = True
        stands_for = np.where(always, 0, -np.log(share)).astype(np.float32)
        stands_for[answers[here]] = 0
        indptr = offsets(np.bincount(rows[kept], minlength=len(counts)))
        before = offsets(kept)
        answers = np.where(here, before[np.where(here, answers, 0)] - indptr[:-1], -1)
        return Questions(indptr, self.features[kept], answers, stands_for[kept])


def together(parts: Sequence[Questions]) -> Questions:
    """All users of several, one after the other."""
    indptr = offsets(np.concatenate([np.diff(one.indptr) for one in parts]))
    return Questions(indptr, *(np.concatenate([one[c] for one in parts]) for c in (1, 2, 3)))


# ---- the loss -----------------------------------------------------------------------------------


def _padded(kernels, x, *, places, shape):
    """Rows x (m, 1) at flat places of a table of this shape; NOT_THERE elsewhere."""
    table = kernels.xp.full(shape[0] * shape[1], NOT_THERE, x.dtype)
    table[places] = x[:, 0]
    return table.reshape(shape), (places,)


def _padded_adjoint(kernels, saved, needs, d_out):
    (places,) = saved
    return (d_out.reshape(-1)[places][:, None],)


padded = Op("padded", _padded, _padded_adjoint)


# ---- learning -----------------------------------------------------------------------------------


class Learner:
    """Learns an f.

    Parameters
    ----------
    hidden : int
        Hidden units of the MLP; 0: linear.
    lr, penalty : float
        Adam's rate, halved every `lr_steps`; μ of the penalty μ·Σθ² on V and w.
    epochs, patience, batch : int
        Most epochs; epochs without a smaller loss before it stops; users of a step.
    seed : int
    device : Device
        One whose arrays are NumPy's.
    """

    def __init__(
        self, hidden, lr, lr_steps, penalty, epochs, patience, batch, seed, device: Device
    ):
        self.hidden, self.lr, self.lr_steps, self.penalty = hidden, lr, lr_steps, penalty
        self.epochs, self.patience, self.batch = epochs, patience, batch
        self.seed, self.device = seed, device

    def learn(self, train: Questions, check: Questions) -> tuple[Weights, list[dict[str, float]]]:
        """Weights of the epoch with the least loss on `check`, and a record an epoch.

        They are the moving average of the steps' weights, which is steadier than the last step's.
        """
        mean = train.features.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = train.features.std(axis=0, dtype=np.float64).astype(np.float32)
        scale = np.where(scale > SCALE_FLOOR, 1 / np.maximum(scale, SCALE_FLOOR), 0)
        scale = scale.astype(np.float32)
        train = train._replace(features=(train.features - mean) * scale)
        order = stream(self.seed, "re-ranker: order of users")
        parameters = {
            name: Tensor(self.device.place(value), self.device, requires_grad=True)
            for name, value in self._initial(train.features.shape[1]).items()
        }
        moments = {name: np.zeros((2, *one.shape), one.dtype) for name, one in parameters.items()}
        usable = np.flatnonzero(train.answers >= 0)
        smooth = {name: one.data.copy() for name, one in parameters.items()}
        best, kept, records, step = np.inf, smooth, [], 0
        for epoch in range(1, self.epochs + 1):
            losses = []
            for chosen in self._batches(usable, order):
                losses.append(self._step(train.of(chosen), parameters, moments, step))
                step += 1
                decay = min(SMOOTH, step / (step + 10))  # the first steps are soon forgotten
                for name, one in parameters.items():
                    smooth[name] += (1 - decay) * (one.data - smooth[name])
            form = Form.of(self._weights(mean, scale, smooth))
            scores = self.device.kernels.candidates.score_rows(check.features, form)
            found = mean_loss(check, scores)
            records.append(
                {
                    "epoch": epoch,
                    "loss": float(np.mean(losses)),
                    "check loss": found,
                    "NDCG@10": ndcg(check, scores),
                }
            )
            if found < best:
                best, since = found, 0
                kept = {name: one.copy() for name, one in smooth.items()}
            else:
                since += 1
                if since >= self.patience:
                    break
        return self._weights(mean, scale, kept), records

    def _initial(self, width: int) -> dict[str, Array]:
        random = stream(self.seed, "re-ranker: weights")
        if not self.hidden:
            return {
                "outer": np.zeros((width, 1), np.float32),
                "outer.bias": np.zeros(1, np.float32),
            }
        inner = random.normal(0, np.sqrt(2 / width), (width, self.hidden))
        outer = random.normal(0, np.sqrt(1 / self.hidden), (self.hidden, 1))
        return {
            "inner": inner.astype(np.float32),
            "inner.bias": np.zeros(self.hidden, np.float32),
            "outer": outer.astype(np.float32),
            "outer.bias": np.zeros(1, np.float32),
        }

    def _batches(self, usable: Array, random) -> Iterator[Array]:
        order = random.permutation(usable)
        for start in range(0, len(order), self.batch):
            yield order[start : start + self.batch]

    def _forward(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        if self.hidden:
            x = ops.relu(ops.affine(x, parameters["inner"], parameters["inner.bias"]))
        return ops.affine(x, parameters["outer"], parameters["outer.bias"])

    def _step(self, questions: Questions, parameters, moments, step: int) -> float:
        counts = np.diff(questions.indptr)
        width = int(counts.max())
        users = np.repeat(np.arange(len(counts)), counts)
        places = users * width + np.arange(len(users)) - questions.indptr[users]
        scores = ops.add(
            self._forward(Tensor(questions.features, self.device), parameters),
            Tensor(questions.offsets[:, None], self.device),
        )
        table = padded(scores, places=places, shape=(len(counts), width))
        loss = ops.cross_entropy(table, answers=questions.answers)
        backward(loss)
        for name, tensor in parameters.items():
            self.device.kernels.adam.update(
                tensor.data,
                np.ascontiguousarray(tensor.grad),
                *moments[name],
                lr=learning_rate(self.lr, 0.5, self.lr_steps, step),
                step=step + 1,
                penalty=0.0 if name.endswith("bias") else self.penalty,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-8,
                form="pytorch",
            )
        return float(loss.data)

    def _weights(self, mean, scale, kept) -> Weights:
        width = len(mean)
        return Weights(
            mean,
            scale,
            kept.get("inner", np.zeros((width, 0), np.float32)),
            kept.get("inner.bias", np.zeros(0, np.float32)),
            kept["outer"][:, 0].copy(),
            kept["outer.bias"],
        )


def ranks(questions: Questions, scores: Array) -> Array:
    """(n,) place of each answer among its user's candidates from 0; far behind where it is none."""
    result = np.full(len(questions.answers), np.iinfo(np.int32).max, np.int64)
    for n in np.flatnonzero(questions.answers >= 0):
        one = scores[questions.indptr[n] : questions.indptr[n + 1]]
        result[n] = np.count_nonzero(one > one[questions.answers[n]])
    return result


def mean_loss(questions: Questions, scores: Array) -> float:
    """Mean of −log softmax at the answers, over users whose answer is a candidate."""
    losses = []
    for n in np.flatnonzero(questions.answers >= 0):
        one = scores[questions.indptr[n] : questions.indptr[n + 1]].astype(np.float64)
        top = one.max()
        losses.append(top + np.log(np.exp(one - top).sum()) - one[questions.answers[n]])
    return float(np.mean(losses)) if losses else 0.0


def ndcg(questions: Questions, scores: Array) -> float:
    """NDCG@10 of the answers among the candidates."""
    _, gain = gains(ranks(questions, scores), TOP)
    return float(gain.mean()) if len(gain) else 0.0
