"""A re-ranker behind a model that is there: learned, and kept only where it helps.

Purchases are left out of the train part, so the model to learn behind is one that never saw them:
for a model that is trained, a twin trained for a few epochs without them; for one that is chosen on
validation items, or of a data set that has validation pairs of its own, the model itself, which was
trained without these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..data.dataset import Dataset
from ..data.patterns import contains
from ..evaluate import figures
from ..evaluate.rankers import Ranker
from ..holdout import selection
from ..holdout.left_out import LeftOut, published, without_left_out
from ..holdout.selection import Selection
from ..holdout.validation import validation_visibility
from ..holdout.visibility import visibility_of
from ..train.protocol import Model
from ..train.trainer import Trainer
from .config import RerankConfig
from .reranker import Reranker, checked_users, learn


def learn_behind(
    model: Model,
    data: Dataset,
    config: RerankConfig,
    leave_out: str | float | None = None,
    chosen: Selection | None = None,
    on_stage: Callable[[str], None] = lambda text: None,
) -> Reranker:
    """A re-ranker for `model`, which was trained on `data`.

    Parameters
    ----------
    model : Model
    data : Dataset
        Nothing held out in it is read.
    config : RerankConfig
        Checked. Without a seed of its own it takes the model's, or 0 where the model has none.
    leave_out : {"target", "all"} or float, optional
        How train purchases are hidden; left out: as the data set was split.
    chosen : Selection, optional
        How the model was chosen on validation items, which then are the purchases to learn from.
        Its `reranker` becomes whether the re-ranker helps, on users that it was not trained on.
    on_stage : callable, optional
        Told what is being done.
    """
    held = _unseen(data, leave_out) if chosen is None else selection.items_of(chosen, data)
    # Where all of the data set's own are trained on, purchases are drawn.
    how = (visibility_of if held is None else validation_visibility)(data, leave_out)
    config = config.with_seed(getattr(model.config, "seed", 0))
    kind, place = type(model), model.device

    def base(rest: Dataset, draws: int) -> Ranker:
        """The model as it would be had it never seen what is left out."""
        if held is not None:
            return kind(model.config, rest, place, model.stored()).ranker()
        if not model.trained:
            return kind(model.config, rest, place).ranker()
        epochs = max(1, min(config.twin_epochs, model.config.epochs) // draws)
        trainer = Trainer(kind(model.config.replaced(epochs=epochs), rest, place), rest)
        for _ in range(epochs * trainer.steps_per_epoch):
            trainer.make_step()
        return trainer.model.ranker()

    share = how.share if chosen is None else chosen.share
    reranker = learn(config, data, base, share, place.host, held, on_stage)
    reranker.report["leave_out"] = how.reason
    if chosen is not None:
        aside = held.of(checked_users(config, data.n_users)[held.users])
        rest = replace(without_left_out(data, held), test_users=aside.users, test_items=aside.items)
        plain = base(rest, 1)
        before, after = None, None
        if len(aside.users):
            before, after = (
                figures.evaluate(one, rest)[selection.METRIC]
                for one in (plain, reranker.ranker(plain, rest, place.host))
            )
        kept = before is None or after > before
        chosen.reranker = {"model": before, "re-ranked": after, "kept": kept}
    return reranker


def _unseen(data: Dataset, leave_out: str | float | None) -> LeftOut | None:
    """The data set's own validation pairs that no model on its train part has seen, if any."""
    found = published(data, validation_visibility(data, leave_out).share, selection.SEED)
    if found is None:
        return None
    seen = contains(data.interactions[-1], found.users, found.items, data.n_items)
    return None if seen.all() else found.of(~seen)
