"""One self-contained HTML page: sections of blocks, inline style, nothing loaded from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# A reply of a model may hold any character; HTML allows no control characters, and a terminal that prints the page would obey them.
_CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}


@dataclass(frozen=True)
class Tile:
    """A headline number: `value` large, `label` above it, `note` below."""

    label: str
    value: str
    note: str = ""
    tone: str = "plain"  # plain | good | bad


@dataclass(frozen=True)
class Section:
    """A titled part of a page. `blocks` are finished markup; `text` is plain and gets escaped."""

    title: str
    text: str = ""
    blocks: Sequence[Markup] = field(default_factory=tuple)


def page(title: str, lead: str, sections: Sequence[Section], tiles: Sequence[Tile] = (), footer: str = "") -> str:
    """The whole document as text. Plain strings are escaped; only `Markup` made by this package is trusted.

    Control characters are shown as their pictures (U+241B for ESC).
    """
    whole = render("page.html.j2", title=title, lead=lead, sections=sections, tiles=tiles, footer=footer)
    return str(whole).translate(_CONTROLS)


def render(template: str, **values: object) -> Markup:
    """A template of this package, filled in; everything that is not `Markup` is escaped."""
    return Markup(_environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vtalign.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
