"""`pkef-fast data info` and `pkef-fast data convert`."""

from __future__ import annotations

import click

from ..data import load_dataset, save_native, summary
from .options import dataset_options, json_option, names, without_none
from .output import note, print_json, print_table


@click.group()
def data() -> None:
    """Look at data sets, and convert them."""


def _load(dataset, data_dir, behaviors):
    return load_dataset(
        **without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors))
    )
