"""The command line: a command parses, makes one library call, prints one result.

stdout is the result (`--json`: its last line is one JSON object), stderr is progress. Errors of the
user are one sentence and exit code 2. A command's module is imported when it is called: `--help`
and `--version` wait for no Numba.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from .. import __version__
from ..errors import PkefError

# Each command's module has its name; beside it, the first sentence of its help.
COMMANDS = {
    "train": "Train a model and evaluate it.",
    "tune": "Search a model's fields by its validation items; the test items are never read.",
    "rerank": "Learn to re-rank a finished run's model by what its users have touched.",
    "evaluate": "Rank every item for every test user of a run's data set.",
    "compare": "Compare finished runs of one data set, user by user.",
    "recommend": "Recommend items to users, by the data set's own ids.",
    "plot": "Draw runs or tables as PNG or SVG for a paper's column.",
    "report": "Write what finished runs are and found into one HTML file.",
    "reproduce": "Make the paper's tables and figures, with the published ones beside ours.",
    "data": "Look at data sets, fetch and convert them.",
    "models": "List the models: their papers, sizes and what they read.",
    "cite": "Print BibTeX for the paper, for models and for this software.",
    "config": "Print a preset as TOML, a comment for each field.",
    "doctor": "Show versions, threads, devices and caches.",
    "bench": "Time the stages of a training step and an evaluation on the CPU.",
}


def escape_what_cannot_be_written() -> None:
    r"""Let stdout and stderr write \u5546 for 商 where their encoding has no such letter.

    That is so for ids in a file or pipe on Windows, in the C locale, and everywhere for bytes of a
    command line that are no text.
    """
    for stream in (sys.stdout, sys.stderr):
        # A program that calls this one may have put something else in a stream's place.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


class Commands(click.Group):
    """A group whose commands end in one sentence and exit code 2 when the input is at fault."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Begin, once both streams can be told anything."""
        escape_what_cannot_be_written()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context | None, name: str) -> click.Command | None:
        """A command, imported now."""
        if name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f".{name}", __name__), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands and what they do, none of them imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context):
        """Run a command, turning the library's errors for users into sentences."""
        try:
            return super().invoke(ctx)
        except PkefError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        except MemoryError as error:
            click.echo(f"Error: not enough memory: {error}.", err=True)
            ctx.exit(2)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pkef-fast")
def main() -> None:
    """Train multi-behaviour recommenders (PKEF) with hand-written kernels.

    `pkef-fast train` alone trains a small demonstration data set on the CPU.
    """
