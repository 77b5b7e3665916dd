"""Choices of the re-ranker."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fields import Fields, field


@dataclass(frozen=True)
class RerankConfig(Fields):
    """Candidates, the learned score and how it is learned."""

    kind: str = field("mlp", "form of the score", choices=("mlp", "linear"))
    hidden: int = field(32, "hidden units of the MLP", low=1)
    graph: int = field(150, "candidates by graph ranking", low=0)
    alike: int = field(50, "candidates by two-hop scores of the first behaviour", low=0)
    model: int = field(50, "candidates by the model", low=0)
    soon: int = field(100, "candidates touched soon after own items, where there are times", low=0)
    neighbours: int = field(40, "nearest items kept of each item", low=1)
    users: int = field(12000, "most left-out purchases to learn from", low=1)
    draws: int = field(4, "most left-out purchases of a user, where there are few users", low=1)
    thin: float = field(
        0.25, "share of the untouched candidates that are learned from", low=0.01, high=1
    )
    check: float = field(0.2, "share of users that are not trained on", low=0.01, high=0.9)
    twin_epochs: int = field(4, "epochs of the model without the left-out purchases", low=1)
    epochs: int = field(8, "most epochs of the re-ranker", low=1)
    patience: int = field(2, "epochs without a smaller loss on other users before it stops", low=1)
    batch: int = field(64, "users of a step", low=1)
    lr: float = field(4e-3, "learning rate; halved every `lr_steps`", low=0)
    lr_steps: int = field(200, "steps", low=1)
    penalty: float = field(1e-5, "μ of the penalty μ·Σθ²", low=0)
    seed: int = field(-1, "of drawing, splitting and learning; -1: the model's", low=-1)

    def with_seed(self, seed: int) -> RerankConfig:
        """The same with this seed, unless it has one of its own."""
        return self if self.seed >= 0 else self.replaced(seed=seed)
