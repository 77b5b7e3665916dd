"""`pkef-fast data fetch`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ..data import DATASETS
from ..fetch import SOURCES
from ..fetch import fetch as fetch_files
from .options import json_option
from .output import note, print_json, print_table

HERE = "data"  # where `load_dataset` looks by itself


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option(
    "--data-dir",
    type=click.Path(),
    help="Put the files into a folder NAME in this one [default: ./data, where --dataset NAME "
    "finds them].",
)
@click.option(
    "--mirror",
    metavar="URL",
    help="Ask this address instead of GitHub's; files lie under it as OWNER/NAME/COMMIT/PATH.",
)
@click.option("--replace", is_flag=True, help="Overwrite files that are there and wrong.")
@click.option(
    "--timeout",
    type=float,
    default=30.0,
    show_default=True,
    help="Give up after so many seconds without an answer, or of less than 1 kB a second.",
)
@json_option
def fetch(name, data_dir, mirror, replace, timeout, as_json):
    """Fetch a public data set, or list those that there are.

    Each file is checked against the published checksum before it gets its name. What is there and
    right is not fetched again, and what was interrupted goes on where it stopped.

    \b
    pkef-fast data fetch                       # which there are, and which are here
    pkef-fast data fetch taobao                # into ./data/taobao
    pkef-fast train --dataset taobao
    pkef-fast data fetch tmall --data-dir DATA --mirror https://mirror.example/raw
    """
    parent = Path(data_dir or HERE)
    if name is None:
        _list(parent, as_json)
        return
    progress = _Progress()
    try:
        found = fetch_files(name, parent, mirror, replace, timeout, progress.report)
    finally:
        progress.close()
    if as_json:
        print_json(
            {"name": name, "folder": str(found.folder), "sha256": found.sums, "new": found.new}
        )
        return
    what = f"{', '.join(found.new)} fetched" if found.new else "nothing was left to fetch"
    where = "" if data_dir is None else f" --data-dir {parent}"
    click.echo(
        f"{name} lies in {found.folder}, {len(found.sums)} files as published; {what}; "
        f"next: pkef-fast train --dataset {name}{where}"
    )


def _list(parent: Path, as_json: bool) -> None:
    """Each data set's size, source and papers, and whether it is here."""
    rows = []
    for name, source in SOURCES.items():
        here = sum((parent / name / file).is_file() for file in source.names)
        rows.append(
            {
                "name": name,
                "bytes": sum(file.size or 0 for file in source.files),
                "bytes_known": all(file.size is not None for file in source.files),
                "source": source.repository,
                "papers": DATASETS[name].papers,
                "files": len(source.names),
                "files_here": here,
            }
        )
    if as_json:
        print_json({"data_sets": rows})
        return
    cells = [
        [
            row["name"],
            _size(row["bytes"], row["bytes_known"]),
            row["source"],
            "yes" if row["files_here"] == row["files"] else "part" if row["files_here"] else "no",
            row["papers"],
        ]
        for row in rows
    ]
    print_table(["data set", "MB", "repository", f"in {parent}/", "papers"], cells)


def _size(size: int, known: bool) -> str:
    text = f"{size / 1e6:.1f}"
    return text if known else f"over {text}" if size else "not known"


class _Progress:
    """The bytes of each file on stderr: a bar in a terminal, elsewhere a line a file."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._tasks: dict[str, object] = {}

    def report(self, name: str, got: int, total: int | None) -> None:
        """What `fetch` calls."""
        if not self._console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = None
                note(f"fetching {name}" + (f", {total / 1e6:.1f} MB" if total else "") + " …")
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                console=self._console,
            )
            self._bar.start()
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=total, completed=got)
        self._bar.update(self._tasks[name], completed=got)

    def close(self) -> None:
        """End the bar."""
        if self._bar:
            self._bar.stop()
