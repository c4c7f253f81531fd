"""Prompt files: what is written is what is read, an edited file is another run, and what is wrong is named by file and line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vtalign.cli.data_commands import app
from vtalign.errors import InputError
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.config import BuildConfig
from vtalign_data.prompts import FILES, with_prompts, write_prompts

CONFIG = BuildConfig(videos=Path("v"), model="m", out=Path("o"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_prompts(tmp_path / "prompts")
    return tmp_path / "prompts"


def read(folder: Path, **settings: object) -> BuildConfig:
    return with_prompts(BuildConfig.model_validate({"videos": "v", "model": "m", "out": "o", "prompts": folder, **settings}))


def test_the_defaults_as_files_are_the_defaults(folder: Path) -> None:
    assert read(folder) == CONFIG
    assert {path.name for path in folder.iterdir()} == {file.name for file in FILES}
    assert all(path.read_text().startswith("# ") for path in folder.iterdir())


def test_edited_files_are_another_run(folder: Path) -> None:
    (folder / "caption.txt").write_text("# mine\nSay what {{moves}} .\n")
    (folder / "merge.txt").write_text("\nOne:\n{captions}\n\nTwo.\n")
    (folder / "order.txt").write_text("# a comment\nFirst: {a} or {b}?\n\n  Earlier: {b} or {a}?  \n")
    (folder / "relative_caption.txt").unlink()
    config = read(folder)
    assert config.captions.prompt == "Say what {moves} ."
    assert config.composer.merge_prompt == "One:\n{captions}\n\nTwo."
    assert config.questions.order == ("First: {a} or {b}?", "Earlier: {b} or {a}?")
    assert config.captions.relative_prompt == CONFIG.captions.relative_prompt
    assert config.result_settings() != CONFIG.result_settings()
    assert with_prompts(config) == config and config.prompts is None
    again = BuildConfig.model_validate_json(config.model_dump_json())
    assert again.result_settings() == config.result_settings()


def test_the_mark_of_some_editors_is_no_text(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(folder) == CONFIG


def test_files_of_annotations_and_their_judge(folder: Path) -> None:
    (folder / "reversal.txt").write_text("What moves?\n")
    (folder / "annotation_open.txt").write_text("Q: {question}\n")
    (folder / "judge_answer.txt").write_text("# mine\n{question}\n\n{truth}\n{reply}\nCorrect or Incorrect?\n")
    judge = {"server": {"url": "http://localhost:1/v1", "model": "j"}}
    settings = {"sources": ["annotation"], "annotations": {"file": "a.jsonl", "columns": {"caption": "c"}, "judge": judge}}
    config = read(folder, **settings)
    assert config.select.prompt == "What moves?"
    assert config.annotations.open_prompt == "Q: {question}"
    assert config.annotations.judge_answer_prompt == "{question}\n\n{truth}\n{reply}\nCorrect or Incorrect?"
    defaults = AnnotationConfig()
    assert config.annotations.judge_caption_prompt == defaults.judge_caption_prompt
    assert config.annotations.options_prompt == defaults.options_prompt
    assert config.annotations.judge is not None and config.annotations.judge.server is not None
    assert with_prompts(config) == config
    with pytest.raises(InputError, match=r"annotation_open.txt: the config sets annotations.open_prompt too"):
        read(
            folder,
            sources=["annotation"],
            annotations={"file": "a.jsonl", "columns": {"caption": "c"}, "open_prompt": "{question}?"},
        )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("merge.txt", "# merge\nMerge this:\n{caption}\n", "merge.txt:3: unknown field {caption} (known: {captions})"),
        ("merge.txt", "Merge {captions}\nand { that", "merge.txt:2: 'and { that' is no template"),
        ("merge.txt", "Merge this.", "merge.txt: lacks field {captions}"),
        ("caption.txt", "Describe {clip}.", "caption.txt:1: unknown field {clip} (known: none)"),
        ("caption.txt", "# nothing\n\n", "caption.txt: holds no prompt"),
        ("order.txt", "Which, {a} or {b}?\nWhich, {a}?", "order.txt:2: lacks field {b}"),
        ("after.txt", "# none", "after.txt: holds no wording"),
        ("clips.txt", "{clips}", "clips.txt: lacks field {prompt}"),
        ("annotation_options.txt", "{question}", "annotation_options.txt: lacks field {options}"),
        ("judge_caption.txt", "{truth}\n{question}", "judge_caption.txt:2: unknown field {question} (known: {reply}, {truth})"),
        ("captions.txt", "Describe.", "captions.txt: no prompt of that name (known: after.txt,"),
    ],
)
def test_wrong_files_are_one_line(folder: Path, name: str, text: str, said: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(InputError) as error:
        read(folder)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_folders_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of prompts"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is there already"):
        write_prompts(folder)
    (folder / "caption.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"caption.txt: cannot be read: is not UTF-8 text"):
        read(folder)
    with pytest.raises(InputError, match="cannot write there"):
        write_prompts(folder / "caption.txt" / "below")


def test_a_text_of_the_config_is_not_overridden_in_silence(folder: Path) -> None:
    with pytest.raises(InputError, match=r"caption.txt: the config sets captions.prompt too"):
        read(folder, captions={"prompt": "What?"})
    (folder / "caption.txt").write_text("What?\n")
    assert read(folder, captions={"prompt": "What?"}).captions.prompt == "What?"


def test_the_command_writes_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["prompts", str(tmp_path / "mine")])
    assert result.exit_code == 0 and str(tmp_path / "mine" / "merge.txt") in result.output
    assert read(tmp_path / "mine") == CONFIG
