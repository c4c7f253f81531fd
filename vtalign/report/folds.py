"""Parts of a page that a reader opens: the page holds everything, and shows what was asked for, without a script."""

from collections.abc import Sequence

from markupsafe import Markup

from vtalign.report.page import render


def fold(title: str, blocks: Sequence[Markup]) -> Markup:
    """`blocks` under a line that opens and closes them; closed at first."""
    return render("fold.html.j2", title=title, blocks=blocks)
