"""Runs that differ by nothing but their seed are one thing, tried several times: a pool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from ..models import model_class
from ..store import checkpoint
from ..store.runs import Run

LISTED = 3  # fields beside the preset that a name lists; more are counted


@dataclass(frozen=True)
class Pool:
    """Finished runs of one config and of different seeds.

    Attributes
    ----------
    name : str
        Model, preset, and fields that differ from it; where two pools would have one name, also the
        folder of the first run.
    runs : tuple of Run
    seeds : tuple of int or None
        One a run; None where nothing is drawn.
    reranked : bool
        Whether a re-ranker ranks, and not the model alone.
    """

    name: str
    runs: tuple[Run, ...]
    seeds: tuple[int | None, ...]
    reranked: bool


@dataclass(frozen=True)
class _Made:
    """How a run was made: all that is not its seed, and its seed."""

    run: Run
    name: str
    reranked: bool
    key: str
    seeds: tuple[int | None, int | None]  # the model's and the re-ranker's

    @property
    def seed(self) -> int | None:
        return self.seeds[1] if self.seeds[0] is None else self.seeds[0]


def pools(runs: Sequence[Run], *, plain: bool = False, each: bool = False) -> list[Pool]:
    """Runs of one data set, those of one config together, in the order of each one's first run.

    Parameters
    ----------
    runs : sequence of Run
    plain : bool
        Leave re-rankers out: the models' own order.
    each : bool
        No pools: each run by itself.

    Raises
    ------
    InputError
        When a run is not finished, is named twice, has the config and seed of another one, or is of
        other data or of another split than the first.
    """
    _check_data(runs)
    groups: dict[str, list[_Made]] = {}
    for number, run in enumerate(runs):
        made = _made(run, plain)
        groups.setdefault(f"{number}" if each else made.key, []).append(made)
    found = [_pool(members) for members in groups.values()]
    names = [one.name for one in found]
    return [
        replace(one, name=f"{one.name} ({one.runs[0].path})") if names.count(one.name) > 1 else one
        for one in found
    ]


def _check_data(runs: Sequence[Run]) -> None:
    first: tuple[Run, str] | None = None
    seen = set()
    for run in runs:
        if run.path.resolve() in seen:
            raise InputError(f"{run.path} is named twice; wanted different runs.")
        seen.add(run.path.resolve())
        fingerprint = run.settings()[1].get("fingerprint")
        if fingerprint is None:
            continue
        if first is None:
            first = run, fingerprint
        elif fingerprint != first[1]:
            raise InputError(
                f"{run.path} was trained on other data or another split than {first[0].path}: its "
                f"fingerprint is {fingerprint[:12]}…, wanted {first[1][:12]}…; only runs of one "
                "data set and split can be compared."
            )


def _pool(members: Sequence[_Made]) -> Pool:
    known: dict[tuple, _Made] = {}
    for one in members:
        if one.seeds in known:
            seed = "" if one.seed is None else f" and one seed ({one.seed})"
            raise InputError(
                f"{known[one.seeds].run.path} and {one.run.path} have one config{seed}, so they "
                "are one witness; wanted different seeds, or each run by itself (--each)."
            )
        known[one.seeds] = one
    return Pool(
        members[0].name,
        tuple(one.run for one in members),
        tuple(one.seed for one in members),
        members[0].reranked,
    )


def _made(run: Run, plain: bool) -> _Made:
    # The model file, because config.toml does not know of epochs that were added later.
    if not run.model_file.is_file():
        raise InputError(
            f"{run.path} is not finished: it has no {run.model_file.name}; go on with "
            f"`pkef-fast train --resume {run.path}`."
        )
    facts, _ = checkpoint.read(run.model_file, "model")
    _, _, settings = run.settings()
    model = facts.get("model", "pkef")
    # Fields that an older version did not have are what it did without them: their defaults.
    config = model_class(model).Config().replaced(**facts["config"]).as_dict()
    name = _name(model, facts, config)
    seed = config.pop("seed", None)
    made: dict[str, Any] = {"model": model, "config": config}
    made["init_from"] = settings.get("init_from") is not None
    selection, reranker = facts.get("selection"), None if plain else facts.get("reranker")
    rerank_seed = None
    if selection is not None:
        made["select"] = {"share": selection["share"], "every": settings.get("eval_every")}
    if reranker is not None:
        fields = dict(reranker["config"])
        rerank_seed = fields.pop("seed", None)
        made["reranker"] = {"config": fields, "share": reranker["report"].get("stays_visible")}
        name += " re-ranked"
    key = json.dumps(made, sort_keys=True)
    return _Made(run, name, reranker is not None, key, (seed, rerank_seed))


def _name(model: str, facts: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Model, preset where it has several, and what was set besides."""
    kind, preset = model_class(model), facts["preset"]
    if preset not in kind.presets:
        return model
    behaviors = tuple(facts["behaviors"])
    usual = kind.preset(preset, behaviors).checked(behaviors).as_dict()
    changed = {
        field: value
        for field, value in config.items()
        if field != "seed" and json.dumps(value) != json.dumps(usual.get(field))
    }
    name = f"{model} {preset}" if len(kind.presets) > 1 else model
    if len(changed) > LISTED:
        return f"{name}, {len(changed)} fields set"
    said = (f", {field}={_text(value)}" for field, value in changed.items())
    return name + "".join(said)


def _text(value: Any) -> str:
    """As `--set` takes it."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
