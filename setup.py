"""A build starts from nothing; everything else about it stands in pyproject.toml.

setuptools puts whatever lies in build/lib into a wheel, so modules that an earlier version of this
clone had would come back.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """Copies modules to where no older ones lie."""

    def run(self):
        """Remove what an earlier build left, and build."""
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "pkef_fast", ignore_errors=True)
        super().run()


setup(cmdclass={"build_py": FreshBuild})
