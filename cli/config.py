"""`pkef-fast config`."""

from __future__ import annotations

import click

from .. import toml
from ..presets import PRESETS
from ..presets import preset as preset_config
from .options import assignments, names


@click.command()
@click.option("--preset", default="official", show_default=True, help=f"{' or '.join(PRESETS)}.")
@click.option(
    "--behaviors",
    default="view,cart,buy",
    show_default=True,
    metavar="A,B,C",
    help="Behaviours, upstream first; their number sets layers and coefficients.",
)
@click.option("--set", "sets", multiple=True, metavar="FIELD=VALUE", help="Change a field.")
def config(preset, behaviors, sets):
    """Print a preset as TOML, a comment for each field.

    \b
    pkef-fast config --preset paper > paper.toml
    pkef-fast train --config paper.toml
    """
    listed = names(behaviors)
    result = preset_config(preset, listed).replaced(**assignments(sets)).checked(listed)
    click.echo(toml.dump(result), nl=False)
