"""The one build step that pyproject.toml cannot say: the wheel carries the top-level `configs/` as `vtalign/configs/`."""

from pathlib import Path
from shutil import copyfile

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """`build_py` that also copies `configs/**/*.yaml`; an editable install reads the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source in sorted(Path("configs").rglob("*.yaml")):
            target = Path(self.build_lib, "vtalign", source)
            self.mkpath(str(target.parent))
            copyfile(source, target)


setup(cmdclass={"build_py": BuildWithConfigs})
