"""`pkef-fast config`."""

from __future__ import annotations

import click

from ..config import toml
from ..models import MODELS, model_class
from ..rerank import RerankConfig
from .options import assignments, model_option, names, presets_help


@click.command()
@model_option
@click.option("--preset", help=presets_help())
@click.option(
    "--behaviors",
    default="view,cart,buy",
    show_default=True,
    metavar="A,B,C",
    help="Behaviours, upstream first; their number sets layers and coefficients.",
)
@click.option("--reranker", is_flag=True, help="The re-ranker's fields, not a model's.")
@click.option("--set", "sets", multiple=True, metavar="FIELD=VALUE", help="Change a field.")
def config(model, preset, behaviors, reranker, sets):
    """Print a preset as TOML, a comment for each field.

    \b
    pkef-fast config --preset paper > paper.toml
    pkef-fast train --config paper.toml
    """
    listed = names(behaviors)
    if reranker:
        click.echo(
            toml.dump(RerankConfig().replaced(**assignments(sets)).checked(listed)), nl=False
        )
        return
    model = model or next(iter(MODELS))
    chosen = model_class(model)
    preset = preset or chosen.default_preset("")
    result = chosen.preset(preset, listed).replaced(**assignments(sets)).checked(listed)
    click.echo(toml.dump(result, {"run": {"model": model, "preset": preset}}), nl=False)
