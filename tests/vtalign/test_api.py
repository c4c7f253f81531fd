"""The public API: every name resolves, importing the package stays light, and the README's example runs as it is written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import vtalign
from vtalign_data.synth.render import render_event, write_mp4
from vtalign_data.synth.world import Event


def test_every_public_name_resolves() -> None:
    assert all(getattr(vtalign, name) is not None for name in vtalign.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vtalign.nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = "import sys, vtalign; print([m for m in ('torch', 'transformers', 'pyarrow', 'datasets') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_example_of_the_readme_runs(
    project_root: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (project_root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1 and len([line for line in blocks[0].splitlines() if line.strip()]) <= 10
    (tmp_path / "videos").mkdir()
    write_mp4(tmp_path / "videos" / "a.mp4", render_event(Event("circle", "red", "move", "left", "quickly")))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks[0].replace("MODEL", str(tiny_checkpoint)), "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
