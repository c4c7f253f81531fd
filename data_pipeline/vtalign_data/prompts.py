"""Prompts as files that a person edits: one plain-text file each, which stands for a text of the config.

Lines that begin with # are comments. {fields} are filled in; {{ and }} stand for braces. A file may be left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtalign.artifacts import write_atomic
from vtalign.config import validate_config
from vtalign.errors import ConfigError, InputError
from vtalign_data.config import BuildConfig
from vtalign_data.templates import fields_of, missing_field, unknown_field


@dataclass(frozen=True)
class PromptFile:
    """One file: the text of the config that it stands for (`path`, a dotted name) and the fields that it may and must have.

    `wordings`: every line is a wording of its own. A text without any fields is used as it is in the config, so that braces are
    doubled in the file only.
    """

    name: str
    path: str
    about: str
    fields: tuple[str, ...] = ()
    wordings: bool = False


FILES = (
    PromptFile("caption.txt", "captions.prompt", "What is asked about one clip."),
    PromptFile(
        "relative_caption.txt",
        "captions.relative_prompt",
        "What is asked about a clip with the one before it (captions.relative); the fields stand for the two clips.",
        ("previous", "clip"),
    ),
    PromptFile(
        "merge.txt",
        "composer.merge_prompt",
        "How captions are merged into one response (composer.method: model); {captions} is one line per clip.",
        ("captions",),
    ),
    PromptFile(
        "clips.txt",
        "responses.clips_prompt",
        "How a response is written from clips (responses.input: clip); {clips} stands for them, {prompt} for a line of response.txt.",
        ("clips", "prompt"),
    ),
    PromptFile("response.txt", "response_prompts", "What the responses to a video answer, one wording per line.", wordings=True),
    PromptFile(
        "order.txt", "questions.order", "Which of two clips comes first? One wording per line.", ("a", "b"), wordings=True
    ),
    PromptFile("after.txt", "questions.after", "What comes after a clip? One wording per line.", ("a",), wordings=True),
    PromptFile(
        "match.txt", "questions.match", "Which of two tellings is right? One wording per line.", ("a", "b"), wordings=True
    ),
    PromptFile("reversal.txt", "select.prompt", "What is asked about a video and its reversal (select.signal: reversal)."),
    PromptFile(
        "annotation_options.txt",
        "annotations.options_prompt",
        "How a question of yours is asked that has options, which are one line each.",
        ("question", "options"),
    ),
    PromptFile(
        "annotation_yes_no.txt",
        "annotations.yes_no_prompt",
        "How a question of yours is asked whose answer is yes or no.",
        ("question",),
    ),
    PromptFile("annotation_open.txt", "annotations.open_prompt", "How any other question of yours is asked.", ("question",)),
    PromptFile("annotation_caption.txt", "annotations.caption_prompt", "What is asked where your annotation is a caption."),
    PromptFile(
        "judge_answer.txt",
        "annotations.judge_answer_prompt",
        "What a judge is asked about an answer {reply} that no rule decides. Its reply is read as Correct or Incorrect, in a line of "
        "its own.",
        ("question", "truth", "reply"),
    ),
    PromptFile(
        "judge_caption.txt",
        "annotations.judge_caption_prompt",
        "The same about a caption.",
        ("truth", "reply"),
    ),
    PromptFile("answer.txt", "questions.answer", "How a clip description is given as the answer.", ("0",)),
)


def with_prompts(config: BuildConfig) -> BuildConfig:
    """`config` with the texts of the files in `config.prompts` in their places.

    Raises InputError that names file, line and field: no such folder, files that are no prompts, unknown or missing fields, a text
    that the config sets otherwise.
    """
    if config.prompts is None:
        return config
    folder = config.prompts
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of prompts; `vtalign data prompts {folder}` writes one")
    known = {file.name for file in FILES}
    for path in sorted(folder.iterdir()):
        if path.name not in known and not path.name.startswith("."):
            raise InputError(f"{path}: no prompt of that name (known: {', '.join(sorted(known))}); remove or rename it")
    data = config.model_dump()
    default = _defaults()
    for file in FILES:
        path = folder / file.name
        if not path.is_file():
            continue
        value, (holder, key) = _read(path, file), _place(data, file.path)
        usual, _ = _place(default, file.path)
        if holder[key] not in (usual[key], value):
            raise ConfigError(f"{path}: the config sets {file.path} too; leave out one of them")
        holder[key] = value
    return validate_config(BuildConfig, {**data, "prompts": None}, str(folder))


def write_prompts(folder: Path) -> list[Path]:
    """Write the defaults, with a comment that says what each is for. Raises InputError where one of the files is there."""
    default = _defaults()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if there := [file.name for file in FILES if (folder / file.name).exists()]:
            raise InputError(f"{folder / there[0]}: is there already; choose another folder")
        for file in FILES:
            holder, key = _place(default, file.path)
            texts = holder[key] if file.wordings else [holder[key]]
            lines = [text if file.fields else text.replace("{", "{{").replace("}", "}}") for text in texts]
            write_atomic(folder / file.name, "\n".join([*_comment(file), *lines]) + "\n")
    except OSError as error:
        raise InputError(f"{folder}: cannot write there: {error.strerror}; choose another folder") from None
    return [folder / file.name for file in FILES]


def _comment(file: PromptFile) -> list[str]:
    fields = ", ".join(f"{{{name}}}" for name in file.fields) or "none"
    return [f"# {file.about}", f"# {file.path} in the config. Fields: {fields}."]


def _read(path: Path, file: PromptFile) -> str | tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors put a mark at the beginning
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {reason}") from None
    numbered = [(number, line) for number, line in enumerate(text.splitlines(), 1) if not line.startswith("#")]
    allowed = set(file.fields)
    for number, line in numbered:
        try:
            found = fields_of(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}; write {{{{ and }}}} for braces") from None
        if found - allowed:
            raise InputError(f"{path}:{number}: {unknown_field(found, allowed)}")
    if not file.wordings:
        whole = "\n".join(line for _, line in numbered).strip()
        if not whole:
            raise InputError(f"{path}: holds no prompt; remove the file to use the default")
        return _text(whole, file, str(path))
    lines = [(number, line.strip()) for number, line in numbered if line.strip()]
    if not lines:
        raise InputError(f"{path}: holds no wording; remove the file to use the defaults")
    return tuple(_text(line, file, f"{path}:{number}") for number, line in lines)


def _text(template: str, file: PromptFile, where: str) -> str:
    """As the config has it. Raises InputError where a field is missing."""
    if not file.fields:
        return template.format()
    if missing := set(file.fields) - fields_of(template):
        raise InputError(f"{where}: {missing_field(set(file.fields) - missing, set(file.fields))}")
    return template


def _defaults() -> dict[str, Any]:
    return BuildConfig.model_construct(videos=Path(), model="", out=Path()).model_dump()


def _place(data: dict[str, Any], path: str) -> tuple[Any, str]:
    """The mapping in `data` that holds the dotted `path`, and its key there."""
    *parents, key = path.split(".")
    for parent in parents:
        data = data[parent]
    return data, key
