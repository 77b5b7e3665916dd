"""How results and progress look: tables and a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..data import Dataset, reading
from ..evaluate.figures import ProtocolFigures
from ..recommender import Recommender
from ..rerank import Reranker
from ..train.callbacks import Callback
from ..train.fit import Fit

FIGURES = ("HR@10", "NDCG@10", "val.HR@10", "val.NDCG@10")  # of a line of progress
COMPILE_NOTICE_SECONDS = 1.5  # a stage that takes longer is compiling; Numba itself starts in 0.9


def print_json(result: dict[str, Any]) -> None:
    """One line; NaN, which JSON does not have, becomes null."""

    def clean(value):
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {str(key): clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(item) for item in value]
        return value

    click.echo(json.dumps(clean(result)))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """A table; aligned plain text where stdout is no terminal."""
    cells = [[_text(value) for value in row] for row in rows]
    console = Console()
    if console.is_terminal:
        table = Table(*columns, title=title or None, title_justify="left")
        for row in cells:
            table.add_row(*row)
        console.print(table)
        return
    if title:
        click.echo(title)
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    for row in [list(columns), *cells]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4f}"
    return str(value)


def print_protocols(found: dict[str, ProtocolFigures]) -> None:
    """Each protocol's users, HR@10 and NDCG@10 with their intervals."""
    rows = []
    for name, one in found.items():
        cells = ["–", "–"]
        if one.interval:
            cells = [
                f"{one.metrics[key]:.4f} ({a:.4f}–{b:.4f})" for key, (a, b) in one.interval.items()
            ]
        rows.append([name, one.users, *cells])
    print_table(["protocol", "users", "HR@10 (95 %)", "NDCG@10 (95 %)"], rows)


def print_selection(recommender: Recommender) -> None:
    """How the model was chosen, where that was on validation items."""
    if recommender.selection is not None:
        click.echo(recommender.selection.sentence(recommender.target))


def print_reranker(reranker: Reranker) -> None:
    """What it learned from, and how good it is on users that it was not trained on."""
    found = reranker.report
    best = max(one["NDCG@10"] for one in found["epochs"])
    click.echo(
        f"re-ranker: learned from {found['left_out']} train purchases left out of "
        f"{found['users_trained']} users, {found['stays_visible']:.0%} of them still visible "
        f"elsewhere ({found['leave_out']}); NDCG@10 {best:.4f} on the left-out purchases of "
        f"{found['users_checked']} other users"
    )


def note(text: str) -> None:
    """A line of progress or warning, on stderr."""
    click.echo(text, err=True)


def note_reading(dataset: Dataset) -> None:
    """How a data set was read and what was guessed, in a line, and what its reader found."""
    note(f"read {reading.line(dataset)}")
    for text in dataset.notes:
        note(f"note: {text}")


class ProgressReport(Callback):
    """Shows compiling, steps and epochs on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task = None
        self._timer: threading.Timer | None = None

    def compiling(self, stage: str, number: int, total: int) -> None:
        self._cancel_timer()
        text = f"compiling kernels for {stage} ({number}/{total}), first run only …"
        # With a warm cache a stage is over before the timer fires, and nothing is printed.
        self._timer = threading.Timer(COMPILE_NOTICE_SECONDS, note, [text])
        self._timer.daemon = True
        self._timer.start()

    def started(self, fit: Fit) -> None:
        self._cancel_timer()
        model, trainer, epochs = fit.model, fit.trainer, getattr(fit.config, "epochs", 0)
        what = f"{fit.data.name}: {model.n_users} users, {model.n_items} items"
        if trainer is None:
            note(f"{what} on {model.device.name}; this model has nothing to train")
            return
        note(
            f"{what}, behaviours {' → '.join(fit.data.behaviors)}; {epochs} epochs of "
            f"{trainer.steps_per_epoch} steps on {model.device.name}"
        )
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            total = epochs * trainer.steps_per_epoch
            self._task = self._bar.add_task("training", total=total, completed=trainer.step)
            self._bar.start()

    def stepped(self, fit: Fit, loss: float | None) -> None:
        if self._bar:
            self._bar.update(self._task, completed=fit.trainer.step)

    def finished_epoch(self, fit: Fit, record: dict[str, Any]) -> None:
        figures = [f"{name} {record[name]:.4f}" for name in FIGURES if name in record]
        line = f"epoch {record['epoch']:>4}  loss {record['loss']:.4f}  {'  '.join(figures)}"
        if self._bar:
            self._bar.update(self._task, description=line.rstrip())
            if not figures:
                return
            self._bar.console.print(line.rstrip(), highlight=False)
        else:
            note(line.rstrip())

    def reranking(self, text: str) -> None:
        self._cancel_timer()
        note(f"re-ranker: {text} …")

    def close(self) -> None:
        """End the bar and the timer."""
        self._cancel_timer()
        if self._bar:
            self._bar.stop()

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
