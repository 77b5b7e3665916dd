"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..data import DATASETS, Dataset, load_dataset
from ..errors import InputError
from ..evaluate.protocols import PROTOCOLS
from ..models import MODELS
from ..store.runs import Run

if TYPE_CHECKING:
    from ..recommender import Recommender


def dataset_options(default: str | None) -> Callable:
    """--dataset, --data-dir, --behaviors."""

    def decorate(command: Callable) -> Callable:
        for option in (
            click.option(
                "--behaviors",
                metavar="A,B,C",
                help="Behaviours to use, upstream first, the target last.",
            ),
            click.option(
                "--data-dir",
                type=click.Path(),
                help="Folder with the data set's files, or one holding a folder named after it.",
            ),
            click.option(
                "--dataset",
                default=default,
                metavar="NAME|PATH",
                help=f"{', '.join(DATASETS)}, or a file or folder."
                + (f" [default: {default}]" if default else ""),
            ),
        ):
            command = option(command)
        return command

    return decorate


_TABLE_OPTIONS = (
    click.option(
        "--columns",
        metavar="ROLE=NAME,…",
        help="A table's columns: user=, item=, behavior=, time=, rating=, split=; NAME none: there "
        "is none. For a file without header its columns in order: user,item,behavior,time.",
    ),
    click.option(
        "--rename-behaviors",
        metavar="A=B,…",
        help="Behaviours' names in a table and what they are here, such as 1=view,4=buy.",
    ),
    click.option(
        "--ratings",
        metavar="LEAST=NAME,…",
        help="Ratings in place of behaviours: 4=like makes rows rated 4 or more a like.",
    ),
    click.option("--separator", help="Between a text table's cells [default: found out]."),
    click.option(
        "--bad-rows",
        metavar="stop|skip[:N|:P%]",
        help="What is done with a table's rows that cannot be used [default: stop].",
    ),
    click.option(
        "--time-format", help="Of a table's times, as strptime has it, such as '%d.%m.%Y %H:%M'."
    ),
    click.option(
        "--split",
        metavar="time|random|global-time=WHEN|none",
        help="What of a table is held out: each user's latest target item, any one, all from a "
        "date (or a last share, 0.1) on, or nothing, to learn from everything [default: time, "
        "where the table has it].",
    ),
    click.option("--since", metavar="DATE", help="Leave a table's earlier rows out."),
    click.option(
        "--k-core",
        type=int,
        help="Leave a table's users and items with fewer target interactions out, until none is.",
    ),
)
TABLE_WORDS = (
    "columns",
    "rename_behaviors",
    "ratings",
    "separator",
    "bad_rows",
    "time_format",
    "split",
    "since",
    "k_core",
)
"""The options' names, as `load_dataset` has them."""


def table_options(command: Callable) -> Callable:
    """What may be said about a table."""
    for option in reversed(_TABLE_OPTIONS):
        command = option(command)
    return command


device_option = click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="cpu, a GPU as 0 or cuda:0, or auto: the first GPU if there is one, else cpu.",
)
threads_option = click.option(
    "--threads", type=int, help="CPU threads [default: the cores that this process may use]."
)
model_option = click.option(
    "--model",
    metavar="|".join(MODELS),
    help=f"What ranks the items [default: {next(iter(MODELS))}].",
)
protocol_option = click.option(
    "--protocol",
    metavar="|".join((*PROTOCOLS, "all")),
    help="Who is ranked among what: paper as published; discovery: users whose held-out item is in "
    "no train behaviour, among such items; return: the other users [default: paper].",
)
leave_out_option = click.option(
    "--leave-out",
    metavar="target|all|SHARE",
    help="How the re-ranker hides the train purchases that it learns from: in the target behaviour "
    "alone, in all, or so that this share stays visible [default: as the data set was split].",
)
plain_option = click.option(
    "--rerank",
    type=click.Choice(("learned", "none")),
    help="none: the model's own order, also where the run has a re-ranker [default: learned, where "
    "it has one].",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout."
)


def presets_help() -> str:
    """Help of --preset: each model's names."""
    known = "; ".join(f"{name}: {', '.join(one.presets)}" for name, one in MODELS.items())
    return f"A named config. {known} [default: the model's own for the data set]."


def names(text: str | None) -> tuple[str, ...] | None:
    """ "a,b,c" as a tuple."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def assignments(pairs: tuple[str, ...]) -> dict[str, str]:
    """Values of repeated `--set field=value`."""
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} has no '='; wanted field=value, e.g. layers=4,1,1.")
        values[name.strip()] = value
    return values


def data_of(run: Run, given: dict[str, Any], known: dict[str, Dataset]) -> Dataset:
    """The data set that a run notes, or the one that is given instead; InputError if it is another.

    `known` keeps data sets, so that several runs on one read it once.
    """
    _, source, _ = run.settings()
    source.pop("fingerprint", None)
    if "dataset" in given:
        source = {}
    source.update(given)
    key = repr(sorted(source.items()))
    if key not in known:
        known[key] = load_dataset(**source)
    run.check_data(known[key])
    return known[key]


def choose_order(model: Recommender, rerank: str | None, run: str = "this run") -> None:
    """Let a loaded model rank as `plain_option` says; `run` names it in the refusal."""
    if rerank == "none":
        model.reranker = None
    elif rerank == "learned" and model.reranker is None:
        raise InputError(
            f"{run} has no re-ranker, so --rerank cannot be 'learned'; `pkef-fast rerank RUN` "
            "makes one."
        )


def without_none(**values: Any) -> dict[str, Any]:
    """Those arguments that are not None."""
    return {name: value for name, value in values.items() if value is not None}
