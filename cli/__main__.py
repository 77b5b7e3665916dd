"""`python -m pkef_fast.cli`."""

from . import main

main(prog_name="pkef-fast")
