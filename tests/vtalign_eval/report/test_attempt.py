"""Whatever goes wrong with a page is said, and is no failure of the run."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vtalign_eval.report.attempt import attempt


def test_what_goes_wrong_is_said_and_the_run_goes_on() -> None:
    def broken() -> None:
        raise KeyError("[bold]aspects")

    text = StringIO()
    attempt(Console(file=text, width=40), Path("runs/a"), broken)
    assert text.getvalue() == "runs/a/report.html could not be made: KeyError: '[bold]aspects'\n"


def test_a_page_that_was_made_is_named_with_its_time() -> None:
    text = StringIO()
    attempt(Console(file=text), Path("runs/a"), lambda: None)
    assert text.getvalue() == "runs/a/report.html (0.0 s)\n"


def test_a_person_can_still_stop_it() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(Console(quiet=True), Path("runs/a"), stopped)
