"""A run directory: config.toml, metrics.jsonl, checkpoint.npz and, at the end, model.npz."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

from ..config import toml
from ..config.fields import Fields
from ..errors import InputError
from . import checkpoint
from .files import write_text


class Source(Protocol):
    """What a run notes of a data set: how to load it again, and what it must then be."""

    name: str
    source: dict[str, Any]

    def fingerprint(self) -> str:
        """A digest of its content."""


class Run:
    """One training run on disk.

    `config.toml` holds all that is needed to repeat it, `metrics.jsonl` a line an epoch,
    `checkpoint.npz` the latest state to go on from, `best.npz` the best epoch's parameters where
    one is chosen on validation items, `model.npz` the trained model. A model without training
    steps has no checkpoint.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.checkpoint_file = self.path / "checkpoint.npz"
        self.model_file = self.path / "model.npz"
        self.best_file = self.path / "best.npz"

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], config: Fields, dataset: Source, settings: dict
    ) -> Run:
        """Start a run in a new or empty folder.

        `settings` are what a run has besides its config, such as eval_every.
        """
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise InputError(f"{run.path} is a file; wanted a folder for the run.")
        if run.path.is_dir() and any(run.path.iterdir()):
            kind = "another run" if run.config_file.exists() else "other files"
            raise InputError(
                f"{run.path} already holds {kind}; choose another --out, or go on with "
                f"--resume {run.path}."
            )
        data = {**dataset.source, "fingerprint": dataset.fingerprint()}
        write_text(run.config_file, toml.dump(config, {"data": data, "run": settings}))
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """An existing run."""
        run = cls(path)
        if not run.config_file.is_file():
            raise InputError(f"{run.path} is not a run: it has no config.toml.")
        return run

    def settings(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Config fields, data source and run settings, as written in config.toml."""
        fields, tables = toml.load(self.config_file)
        return fields, tables.get("data", {}), tables.get("run", {})

    def check_data(self, dataset: Source) -> None:
        """InputError unless this is the data set that the run was made on."""
        _, data, _ = self.settings()
        if data.get("fingerprint") not in (None, dataset.fingerprint()):
            raise InputError(
                f"data set {dataset.name!r} is not what {self.path} was trained on: its "
                f"fingerprint is {dataset.fingerprint()[:12]}…, wanted "
                f"{data['fingerprint'][:12]}…."
            )

    def write_checkpoint(self, facts: dict, arrays: dict) -> None:
        """Replace the checkpoint."""
        checkpoint.write(self.checkpoint_file, "checkpoint", facts, arrays)

    def read_checkpoint(self) -> tuple[dict, dict]:
        """Facts and arrays of the checkpoint."""
        return checkpoint.read(self.checkpoint_file, "checkpoint")

    def records(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        if not self.metrics_file.exists():
            return []
        records = []
        for number, line in enumerate(
            self.metrics_file.read_text(encoding="utf-8").splitlines(), 1
        ):
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise InputError(
                    f"{self.metrics_file}, line {number}: not JSON ({error}); wanted one object a "
                    "line."
                ) from error
        return records

    def write_records(self, records: list[dict[str, Any]]) -> None:
        """Replace metrics.jsonl."""
        write_text(self.metrics_file, "".join(json.dumps(record) + "\n" for record in records))
