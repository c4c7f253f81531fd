"""Prompt templates: texts with {fields}, which are filled with texts, or with views in a prompt to a model."""

from collections.abc import Mapping, Sequence
from string import Formatter

from vtalign.models.prompt import Part, Prompt
from vtalign.video.view import VideoView


def check_fields(template: str, allowed: set[str], needed: set[str]) -> str:
    """`template` if its {fields} are among `allowed` and have all of `needed`; else ValueError."""
    found = fields_of(template)
    if found - allowed:
        raise ValueError(f"'{template}' has {unknown_field(found, allowed)}")
    if needed - found:
        raise ValueError(f"'{template}' {missing_field(found, needed)}")
    return template


def fields_of(template: str) -> set[str]:
    """Names as they stand between braces, with any format (`a:d`): texts are filled in as they are. Raises ValueError for braces
    that are no field ({{ and }} stand for braces)."""
    try:
        return {
            name + (f"!{conversion}" if conversion else "") + (f":{layout}" if layout else "")
            for _, name, layout, conversion in Formatter().parse(template)
            if name is not None
        }
    except ValueError as error:
        raise ValueError(f"'{template}' is no template: {error}") from None


def unknown_field(found: set[str], allowed: set[str]) -> str:
    known = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "none"
    return f"unknown field {{{sorted(found - allowed)[0]}}} (known: {known})"


def missing_field(found: set[str], needed: set[str]) -> str:
    return f"lacks field {{{sorted(needed - found)[0]}}}"


def fill_prompt(template: str, texts: Mapping[str, str], views: Mapping[str, Sequence[VideoView]]) -> Prompt:
    """A prompt to a model: {fields} of `texts` become text, those of `views` the views themselves, in order."""
    parts: list[Part] = []
    text = ""
    for literal, name, _, _ in Formatter().parse(template):
        text += literal
        if name is None:
            continue
        if name in texts:
            text += texts[name]
        else:
            parts += [*([text] if text.strip() else []), *views[name]]
            text = ""
    return Prompt((*parts, text) if text.strip() else tuple(parts))
