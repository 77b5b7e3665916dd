"""The command line: a command parses, makes one library call, prints one result.

stdout is the result (`--json`: its last line is one JSON object), stderr is progress. Errors of the
user are one sentence and exit code 2.
"""

from __future__ import annotations

import click

from ..errors import PkefError
from .bench import bench
from .config import config
from .data import data
from .doctor import doctor
from .evaluate import evaluate
from .recommend import recommend
from .rerank import rerank
from .train import train
from .tune import tune


class Commands(click.Group):
    """A group whose commands end in one sentence and exit code 2 when the input is at fault."""

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
@click.version_option(package_name="pkef-fast", prog_name="pkef-fast")
def main() -> None:
    """Train multi-behaviour recommenders (PKEF) with hand-written kernels.

    `pkef-fast train` alone trains a small demonstration data set on the CPU.
    """


for command in (train, tune, rerank, evaluate, recommend, data, config, doctor, bench):
    main.add_command(command)
