"""The public API: every name resolves, importing the package stays light, and the README's example runs as it is written."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def python_blocks(project_root: Path) -> list[str]:
    """A benchmark of one's own, and the library in ten lines."""
    return re.findall(r"```python\n(.*?)```", (project_root / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_benchmark_of_the_readme_is_one(project_root: Path, tmp_path: Path) -> None:
    benchmark, _ = python_blocks(project_root)
    defined: dict[str, Any] = {}
    exec(compile(benchmark, "README.md", "exec"), defined)
    (tmp_path / "questions.csv").write_text("id,video,source,answer\n1,a.mp4,s,forwards\n2,b.mp4,s,backwards\n")
    items = defined["ARROW"].items(tmp_path)
    assert [(item.question_id, item.group, item.answer) for item in items] == [("1", "s", "forwards"), ("2", "s", "backwards")]
    assert defined["ARROW"].grade("Backwards.", items[1]).correct


def test_the_example_of_the_readme_runs(
    project_root: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, block = python_blocks(project_root)
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    (tmp_path / "videos").mkdir()
    write_mp4(tmp_path / "videos" / "a.mp4", render_event(Event("circle", "red", "move", "left", "quickly")))
    monkeypatch.chdir(tmp_path)
    exec(compile(block.replace("MODEL", str(tiny_checkpoint)), "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
