"""The page is one file: data in it stays data, and nothing points outside."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from vtalign.report.inspect_page import InspectedPair, InspectPage, inspect_page, script_json, utf16_offsets
from vtalign.report.sprites import sprite

HOSTILE = "</script><script>document.title='taken'</script><!-- <img src=x onerror=alert(1)> \u2028\u2029 ]]> '\" 🙂 \x00"


@pytest.fixture
def page() -> InspectPage:
    pair: InspectedPair = {
        "id": "pair-1",
        "group": "group-1",
        "video": 0,
        "view": 0,
        "perturbed": 1,
        "rejected_view": None,
        "title": HOSTILE,
        "name": "shuffle",
        "strength": 2,
        "kind": HOSTILE,
        "source": "self",
        "difficulty": 0.5,
        "prompt": HOSTILE,
        "chosen": f"🙂 a {HOSTILE}",
        "rejected": "🙂 b",
        "chosen_marks": [(2, 3)],
        "rejected_marks": [(2, 3)],
        "chosen_spans": [(0, 3)],
        "rejected_spans": [],
        "scores": {"margin": -1.5, "divergence": None},
        "fingerprint": None,
    }
    clean = {"video": 0, "cells": [0, 1], "times": [0.0, 0.5], "sources": [0, 1], "parts": [0, 1], "notes": {}, "videos": {}}
    frames = [np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)]
    return {
        "name": HOSTILE,
        "total": 1,
        "total_videos": 1,
        "pairs": [pair],
        "views": [clean, {**clean, "cells": [1, -1], "sources": [1, -1], "parts": [], "notes": {1: HOSTILE}}],  # type: ignore[list-item, typeddict-item]
        "videos": [
            {"id": "video-1", "path": HOSTILE, "sprite": sprite(frames), "problem": ""},
            {"id": "video-2", "path": "b.mp4", "sprite": None, "problem": HOSTILE},
        ],
        "counts": {"perturbation": {HOSTILE: 1}},
        "notes": [HOSTILE],
        "stages": [{"name": "08-filter", "unit": "pairs", "kept": 1, "filtered": {HOSTILE: 60}, "failed": {"corrupt": 1}}],
        "rejected": [
            {
                "stage": "08-filter",
                "outcome": "failed",
                "reason": "corrupt",
                "count": 1,
                "headers": ["what"],
                "rows": [["a.mp4"]],
            },
            {
                "stage": "08-filter",
                "outcome": "filtered",
                "reason": HOSTILE,
                "count": 60,
                "headers": ["what"],
                "rows": [[HOSTILE]] * 50,
            },
        ],
        "warnings": [(HOSTILE, 3)],
    }


def shipped(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_hostile_texts_stay_texts(page: InspectPage) -> None:
    text = inspect_page(page)
    assert text.count("<script") == text.count("</script>") == 3  # data, one sprite, the page's own
    assert "<!--" not in text and "<img" not in text
    (pair,) = shipped(text)["pairs"]  # type: ignore[misc]
    assert pair["prompt"] == HOSTILE and pair["chosen"] == f"🙂 a {HOSTILE}"


def test_offsets_are_those_of_a_browser(page: InspectPage) -> None:
    (pair,) = shipped(inspect_page(page))["pairs"]  # type: ignore[misc]
    assert pair["chosen_marks"] == [[3, 4]] and pair["chosen_spans"] == [[0, 4]] and pair["rejected_marks"] == [[3, 4]]
    assert utf16_offsets("a🙂b🙂", [(0, 1), (1, 2), (3, 4)]) == [(0, 1), (1, 3), (4, 6)]
    assert utf16_offsets("é漢", [(1, 2)]) == [(1, 2)]


def test_only_the_script_of_the_page_may_run(page: InspectPage) -> None:
    text = inspect_page(page)
    script = text[text.rindex("<script>") + len("<script>") : text.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'\"" in text.replace(
        "&#43;", "+"
    )
    for unsafe in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch("):
        assert unsafe not in script


def test_a_page_refers_to_nothing_outside(page: InspectPage) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|<link|url\((?!data:)", inspect_page(page))


def test_what_was_rejected_is_listed_and_the_rest_counted(page: InspectPage) -> None:
    text = inspect_page(page)
    assert '<details class="lost" open>' in text and '<details class="lost">' in text  # few failures are open
    assert "The first 50 of 60; 10 more are in stages/08-filter/rejected.jsonl." in text
    assert "61" in text  # rejected on the way


def test_a_number_that_is_none_is_an_error_here() -> None:
    """A browser cannot read NaN: it has to be taken out before."""
    with pytest.raises(ValueError):
        script_json({"margin": float("nan")})
