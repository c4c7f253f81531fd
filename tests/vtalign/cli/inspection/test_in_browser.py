"""A real browser draws 2,000 pairs, filters them at once, and runs nothing that a pair says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.cli.inspection.page import write_inspection
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import write_pairs

HOSTILE = "</script><script>document.title='taken'</script><!-- <img src=x onerror=\"document.title='taken'\"> 🙂\u2028]]>"

# Watches from before the first script of the page: tasks above 50 ms, which are those that a person feels.
WATCH = """window.tasks = [];
new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration)))
  .observe({ type: "longtask", buffered: true });"""
# ACTION, and how many milliseconds later the first pairs stand there, and all of the page.
TIMED = """new Promise(done => {
  const list = document.getElementById("pairs"), before = list.dataset.drawn, start = performance.now();
  let answered = 0;
  const look = () => {
    answered ||= performance.now() - start;
    list.dataset.drawn !== before ? done([answered, performance.now() - start]) : requestAnimationFrame(look);
  };
  ACTION;
  requestAnimationFrame(look);
})"""
SCROLL = """new Promise(done => {
  let last = 0, worst = 0;
  const start = scrollY, end = () => scrollY > start + 6000 || innerHeight + scrollY > document.documentElement.scrollHeight - 4;
  const step = now => {
    worst = Math.max(worst, last && now - last);
    last = now;
    scrollBy(0, 90);
    end() ? done(worst) : requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
STATUS = "document.getElementById('status').textContent"
CARDS = "document.querySelectorAll('#pairs article').length"


def act(browser: Any, action: str) -> list[float]:
    """Milliseconds from what a user does until the first pairs are there, and until all of the page are."""
    return list(browser.run(TIMED.replace("ACTION", action)))


def choose(control: str, value: str) -> str:
    found = f"document.getElementById({json.dumps(control)})"
    return f"{found}.value = {json.dumps(value)}; {found}.dispatchEvent(new Event('input', {{ bubbles: true }}))"


@pytest.mark.slow
def test_2000_pairs_without_a_stutter(
    browser: Any,
    small_corpus: Path,
    tmp_path: Path,
    synthetic_pairs: Callable[[list[str], int, int], list[PreferencePair]],
    record_property: Callable[[str, object], None],
) -> None:
    """400 videos, each decoded. Times are reported; asserted is only that nothing blocks the page for as long as a person would notice."""
    videos = small_corpus / "train" / "videos"
    files = sorted(path.name for path in videos.glob("*.mp4"))
    write_pairs(tmp_path / "pairs", synthetic_pairs(files, 400, 2000))
    page, data = write_inspection(tmp_path / "pairs", None, videos, limit=2000, seed=0)
    assert len(data["pairs"]) == 2000 and all(video["sprite"] for video in data["videos"])
    assert page.stat().st_size < 30_000_000

    browser.call("Page.enable")
    watch = browser.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    browser.open(page.as_uri(), 1280)
    assert browser.run("document.getElementById('status').textContent") == "2,000 of 2,000 pairs"
    done = {
        "filter": act(browser, choose("name", "shuffle")),
        "search": act(browser, choose("q", "dog jumps")),
        "sort": act(browser, choose("sort", "-margin")),
        "clear": act(browser, "document.querySelector('button[type=reset]').click()"),
        "next page": act(browser, "document.querySelectorAll('.pager button')[1].click()"),
    }
    measured = {name: f"{first:.0f} ms, all {whole:.0f} ms" for name, (first, whole) in done.items()}
    measured["longest frame while scrolling"] = f"{browser.run(SCROLL):.0f} ms"
    longest = max(browser.run("tasks"), default=0.0)
    measured |= {"longest task": f"{longest:.0f} ms", "page": f"{page.stat().st_size / 1e6:.1f} MB"}
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=watch["identifier"])
    for name, value in measured.items():
        record_property(name, value)
    print(measured)
    assert longest < 300, measured


@pytest.fixture
def small_page(
    tmp_path: Path, small_corpus: Path, synthetic_pairs: Callable[[list[str], int, int], list[PreferencePair]], make_pair: Any
) -> Path:
    """60 pairs of 6 videos, one of them gone, and a pair whose every text is an attack."""
    videos = small_corpus / "train" / "videos"
    files = [path.name for path in sorted(videos.glob("*.mp4"))[:5]]
    hostile = make_pair(
        video_id="video-bad",
        video=HOSTILE,
        prompt=HOSTILE,
        chosen=f"🙂 sits {HOSTILE}",
        rejected="🙂 runs",
        kind=HOSTILE,
        chosen_spans=((2, 6),),
    )
    write_pairs(tmp_path / "pairs", [*synthetic_pairs([*files, "gone.mp4"], 6, 60), hostile])
    return write_inspection(tmp_path / "pairs", None, videos, limit=2000, seed=0)[0]


@pytest.mark.slow
def test_nothing_that_a_pair_says_is_run(browser: Any, small_page: Path) -> None:
    browser.open(small_page.as_uri() + "#q=sits", 1280)
    assert browser.run("document.title") == "Preference pairs" and browser.run(STATUS) == "1 of 61 pairs"
    assert browser.run("document.querySelector('#pairs .side.chosen p').textContent") == f"🙂 sits {HOSTILE}"
    assert browser.run("document.querySelector('#pairs ins').textContent").startswith("sits ")
    assert browser.run("document.querySelector('#pairs .phrase').textContent") == "sits"
    assert browser.run("document.querySelector('#pairs del').textContent") == "runs"
    assert browser.run("document.querySelectorAll('#pairs img, #pairs script').length") == 0


@pytest.mark.slow
def test_filters_and_the_address_that_keeps_them(browser: Any, small_page: Path) -> None:
    browser.open(small_page.as_uri(), 1280)
    assert browser.run(STATUS) == "61 of 61 pairs" and browser.run(CARDS) == 20
    act(browser, choose("name", "shuffle"))
    shuffled = browser.run(STATUS)
    assert set(browser.run("[...document.querySelectorAll('#pairs h3')].map(title => title.textContent.split('-')[0])")) == {
        "shuffle"
    }
    options = browser.run("[...document.querySelectorAll('#strength option')].map(option => option.textContent)")
    assert options[0] == "any" and any(option.endswith("(0)") for option in options[1:])  # counts of what is left
    act(browser, choose("sort", "-margin"))
    margins = browser.run(
        "[...document.querySelectorAll('.scores')].map(list => [...list.children].find(row => row.firstChild.textContent === 'margin')"
        ".lastChild.textContent)"
    )
    numbers = [float(margin.replace("−", "-")) for margin in margins if margin != "not measured"]
    assert numbers == sorted(numbers, reverse=True) and "not measured" not in margins[: len(numbers)]
    address = browser.run("new Promise(done => setTimeout(() => done(location.href), 400))")
    assert address.endswith("#name=shuffle&sort=-margin")
    browser.open(address, 1280)
    assert browser.run(STATUS) == shuffled
    act(browser, choose("from", "0.9"))
    assert browser.run(STATUS) == "0 of 61 pairs" and "No pair fits" in browser.run(
        "document.getElementById('pairs').textContent"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_it_fits_a_screen_and_a_phone(browser: Any, small_page: Path, width: int, dark: bool) -> None:
    browser.open(small_page.as_uri(), width, dark)
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    browser.run("document.querySelectorAll('details').forEach(box => { box.open = true; })")
    assert browser.run("new Promise(done => setTimeout(() => done(document.documentElement.scrollWidth), 200))") <= width
    # a strip shows its own pictures, without any where the video is gone
    assert browser.run("getComputedStyle(document.querySelector('.cell:not(.none)')).backgroundImage").startswith(
        'url("data:image/jpeg'
    )
    act(browser, choose("video", "gone.mp4"))
    assert browser.run("document.querySelectorAll('.cell.none').length") > 0
    assert "no pictures: missing" in browser.run("document.querySelector('figcaption').textContent")


@pytest.mark.slow
def test_keys_alone_are_enough(browser: Any, small_page: Path) -> None:
    browser.open(small_page.as_uri(), 1280)
    browser.run("document.getElementById('q').focus()")
    for letter in "dog":
        browser.call("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=letter)
    assert browser.run("document.getElementById('q').value") == "dog" and browser.run(STATUS) != "61 of 61 pairs"
    reached = []
    for _ in range(12):
        browser.call("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(browser.run("document.activeElement.id || document.activeElement.textContent"))
    assert [*reached[:8], reached[8]] == ["name", "strength", "source", "kind", "video", "from", "to", "sort", "Clear all"]
    assert reached[9] == "Next"  # there is no page before the first
