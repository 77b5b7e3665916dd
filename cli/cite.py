"""`pkef-fast cite`."""

from __future__ import annotations

import dataclasses

import click

from ..models import MODELS
from ..report.citations import references
from .options import json_option
from .output import print_json


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|all",
    help="Also this model's paper; may be repeated.",
)
@json_option
def cite(models, as_json):
    """Print BibTeX for the paper, for models and for this software.

    \b
    pkef-fast cite
    pkef-fast cite --model lightgcn --model mb-cgcn > used.bib
    """
    found = references(MODELS if "all" in models else models)
    if as_json:
        print_json({"references": [dataclasses.asdict(one) for one in found]})
        return
    click.echo("\n".join(one.bibtex() for one in found), nl=False)
