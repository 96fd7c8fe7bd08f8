"""Ships the top-level templates/ inside the wheel as luxgen/_templates.

An editable install needs no copy: luxgen.templates_path finds the checkout's.
"""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path("templates")


class BuildWithTemplates(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._templates().items():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *self._templates()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        return (
            outputs if self.editable_mode else [*outputs, *self._templates().values()]
        )

    def _templates(self) -> dict[str, str]:
        """Where each template of the checkout goes in the build folder."""
        root = Path(self.build_lib, "luxgen", "_templates")
        return {
            os.fspath(path): os.fspath(root / path.relative_to(SOURCE))
            for path in sorted(SOURCE.rglob("*.j2"))
        }


setup(cmdclass={"build_py": BuildWithTemplates})
